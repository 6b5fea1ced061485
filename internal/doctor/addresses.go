package doctor

import (
	"net/netip"
	"slices"
	"strings"

	"greenroom/internal/dns"
)

func (s Server) addresses() []netip.Addr {
	return dns.NewRecord(s.Name, s.Address, s.Address6).Addresses()
}

// sameAddresses compares them in any order.
func sameAddresses(a, b []netip.Addr) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, netip.Addr.Compare)
	slices.SortFunc(b, netip.Addr.Compare)
	return slices.Equal(a, b)
}

func addressList(addresses []netip.Addr) string {
	texts := make([]string, len(addresses))
	for i, a := range addresses {
		texts[i] = a.String()
	}
	return strings.Join(texts, " and ")
}
