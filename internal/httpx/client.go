package httpx

import (
	"net/http"
	"net/netip"
	"strings"
)

// ClientAddr is the address the request's connection comes from, without the port. Forwarding headers are
// not believed: anybody can send them.
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
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip := a.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, _ := ip.Prefix(64) // fails for more bits than an address has
	return network.String()
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
