package httpx

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Hosts knows whom requests may be for. A page elsewhere can have its own name resolve to this machine
// (DNS rebinding) and then counts as our origin to the browser, but its requests still carry that name.
type Hosts struct {
	exact map[string]bool // lower case, with the port
	port  string
	anyIP bool // the listener is on every address: any address literal is one of ours, and none can be rebound
}

// NewHosts allows the listener's own address, loopback under its names with the listener's port,
// and the hosts of urls; empty ones are left out.
func NewHosts(listen net.Addr, urls ...string) *Hosts {
	h := &Hosts{exact: map[string]bool{}}
	if a, err := netip.ParseAddrPort(listen.String()); err == nil {
		h.port = strconv.Itoa(int(a.Port()))
		h.anyIP = a.Addr().IsUnspecified()
		if a.Port() == 80 {
			h.exact[hostOnly(a.Addr().String())] = true
		}
		h.exact[a.String()] = true
	}
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]"} {
		h.exact[name+":"+h.port] = true
		if h.port == "80" {
			h.exact[name] = true
		}
	}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			continue
		}
		h.exact[strings.ToLower(u.Host)] = true
		if u.Port() == "" { // browsers leave a scheme's own port out, other clients may not
			h.exact[strings.ToLower(u.Host)+map[string]string{"http": ":80", "https": ":443"}[u.Scheme]] = true
		}
	}
	return h
}

func hostOnly(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

// Allowed reports whether a request with that Host header is for this server.
func (h *Hosts) Allowed(host string) bool {
	if h.exact[host] || h.exact[strings.ToLower(host)] {
		return true
	}
	a, err := netip.ParseAddrPort(host)
	return h.anyIP && err == nil && strconv.Itoa(int(a.Port())) == h.port
}

// Require refuses requests for other hosts.
func (h *Hosts) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.Allowed(r.Host) {
			Misdirected.Problem("This server does not answer under that host name. Use the address it listens on, or set public_url to the one you use.").Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}
