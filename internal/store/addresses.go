package store

import (
	"fmt"
	"net/netip"
	"strings"
)

// AddressText is the record's addresses in one text, as the stores keep them: versions that knew one address wrote it so.
func (r Record) AddressText() string {
	var parts []string
	for _, a := range []netip.Addr{r.Address, r.Address6} {
		if a.IsValid() {
			parts = append(parts, a.String())
		}
	}
	return strings.Join(parts, " ")
}

// SetAddressText reads what AddressText wrote.
func (r *Record) SetAddressText(text string) error {
	r.Address, r.Address6 = netip.Addr{}, netip.Addr{}
	parts := strings.Fields(text)
	if len(parts) == 0 || len(parts) > 2 {
		return fmt.Errorf("%q are not the addresses of a record", text)
	}
	for _, part := range parts {
		a, err := netip.ParseAddr(part)
		if err != nil {
			return err
		}
		into := &r.Address
		if a.Is6() {
			into = &r.Address6
		}
		if into.IsValid() {
			return fmt.Errorf("%q are two addresses of one family", text)
		}
		*into = a
	}
	return nil
}
