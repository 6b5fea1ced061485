package httpx

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Bounds of forwarding headers. What is beyond is not read, and the peer is the client then.
const (
	maxForwarded = 4 << 10 // bytes of all lines of one header
	maxHops      = 32
)

// Proxies are the networks whose forwarding headers are believed.
type Proxies []netip.Prefix

// Trusts reports whether a peer with that address is one of the proxies.
func (p Proxies) Trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// TrustsAddr is Trusts for the address of a connection.
func (p Proxies) TrustsAddr(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && p.Trusts(tcp.AddrPort().Addr())
}

// Require makes the client's address the remote address of requests that come through a trusted proxy. Of the host and the scheme
// that a proxy reports nothing is believed: public_url says them. A proxy that serves greenroom below a path is refused, because the
// pages' links begin at the root.
func (p Proxies) Require(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !p.Trusts(peer.Addr()) {
			next.ServeHTTP(w, r)
			return
		}
		if prefix := r.Header.Get("X-Forwarded-Prefix"); strings.Trim(prefix, "/") != "" {
			Misdirected.Problem("The proxy serves greenroom below a path, and greenroom needs a host name of its own. Let the proxy pass on all paths of one host name: see docs/proxies.md.").Write(w)
			return
		}
		next.ServeHTTP(w, from(r, p.client(r.Header, peer.Addr())))
	})
}

// client follows the hops that the proxies report, from the nearest to the farthest, up to the first that is not a trusted proxy.
// A client may send either header itself and a proxy pass on the one that it does not write: where both are there and differ, the
// proxy is the client.
func (p Proxies) client(h http.Header, peer netip.Addr) netip.Addr {
	known, standard := h.Values("X-Forwarded-For"), h.Values("Forwarded")
	a := p.walk(known, address, peer)
	if len(standard) == 0 {
		return a
	}
	b := p.walk(standard, forwardedFor, peer)
	switch {
	case len(known) == 0, a == b:
		return b
	}
	return peer
}

func (p Proxies) walk(lines []string, parse func(string) (netip.Addr, bool), peer netip.Addr) netip.Addr {
	size := 0
	for _, l := range lines {
		size += len(l)
	}
	if size > maxForwarded {
		return peer
	}
	hops := splitQuoted(strings.Join(lines, ","), ',')
	if len(hops) > maxHops {
		hops = hops[len(hops)-maxHops:]
	}
	for _, hop := range slices.Backward(hops) {
		a, ok := parse(strings.TrimSpace(hop))
		if !ok { // whoever is behind that hop is not told: it counts as the client
			return peer
		}
		if peer = a; !p.Trusts(a) {
			return a
		}
	}
	return peer
}

// address reads a hop of X-Forwarded-For: an address, which some proxies write with a port.
func address(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddrPort(s)
	return a.Addr().Unmap().WithZone(""), err == nil
}

// forwardedFor reads a hop of Forwarded (RFC 7239): its parameter "for", an address in the form of a URL's host, or a name, which
// tells nothing.
func forwardedFor(hop string) (netip.Addr, bool) {
	for _, pair := range splitQuoted(hop, ';') {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			return address(strings.Trim(value, `"`))
		}
	}
	return netip.Addr{}, false
}

// splitQuoted splits at a separator outside of quotation marks.
func splitQuoted(s string, at rune) []string {
	quoted, escaped := false, false
	return strings.FieldsFunc(s, func(c rune) bool {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		}
		return c == at && !quoted
	})
}

// from is r as if it came from the client. The port is not known.
func from(r *http.Request, client netip.Addr) *http.Request {
	out := new(http.Request)
	*out = *r
	out.RemoteAddr = netip.AddrPortFrom(client, 0).String()
	return out
}

// FromViewer makes the address of CloudFront's viewer the remote address of a request, if there is one. Only a server that nobody
// reaches but through CloudFront may believe it.
func FromViewer(r *http.Request) {
	if viewer, ok := ViewerAddress(r.Header); ok {
		r.RemoteAddr = netip.AddrPortFrom(viewer, 0).String()
	}
}

// ViewerAddress is the address of CloudFront's viewer, in the header CloudFront-Viewer-Address.
func ViewerAddress(h http.Header) (netip.Addr, bool) {
	value := h.Values("CloudFront-Viewer-Address")
	if len(value) != 1 {
		return netip.Addr{}, false
	}
	if a, ok := address(value[0]); ok && strings.Count(value[0], ":") <= 1 {
		return a, true
	}
	at := strings.LastIndexByte(value[0], ':') // CloudFront writes an IPv6 address without brackets and then the port
	if at < 0 {
		return netip.Addr{}, false
	}
	return address(value[0][:at])
}
