package httpx

import (
	"net/http"
	"net/netip"
	"strings"

	"greenroom/internal/access/connlimit"
)

// ClientAddr is the address the request comes from, without the port. Forwarding headers were read by Proxies, if at all.
func ClientAddr(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return a.Addr().Unmap().WithZone("").String()
}

// ClientKey names the client for limits: its IPv4 address, or its IPv6 network of 64 bits, since one client
// has all of that.
func ClientKey(r *http.Request) string {
	network := ClientNetwork(r)
	switch {
	case !network.IsValid():
		return r.RemoteAddr
	case network.IsSingleIP():
		return network.Addr().String()
	}
	return network.String()
}

// ClientNetwork is ClientKey as a network; not valid if the address is not known.
func ClientNetwork(r *http.Request) netip.Prefix {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	return connlimit.Network(a.Addr())
}

// Path is the request's path as it may be logged: queries hold join keys, and DCV servers keep their
// secret in the path.
func Path(r *http.Request) string {
	const verify = "/dcv/verify/"
	if strings.HasPrefix(r.URL.Path, verify) {
		return verify + "***"
	}
	return r.URL.Path
}
