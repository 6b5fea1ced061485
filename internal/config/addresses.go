package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// pair reads the addresses of something that browsers or resolvers reach: one of a family at most, and one at least. What is not
// given is not valid.
func pair(texts []string) (four, six netip.Addr, err error) {
	if len(texts) == 0 {
		return four, six, fmt.Errorf("no address is given")
	}
	for _, text := range texts {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		a = a.Unmap()
		into := &four
		if a.Is6() {
			into = &six
		}
		switch {
		case err != nil:
			return four, six, err
		case a.IsUnspecified() || a.Zone() != "":
			return four, six, fmt.Errorf("%s is no address that others can use", a)
		case into.IsValid():
			return four, six, fmt.Errorf("%s and %s are of one family", *into, a)
		}
		*into = a
	}
	return four, six, nil
}
