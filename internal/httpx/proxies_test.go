package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"greenroom/internal/httpx"
)

func TestTheClientBehindProxies(t *testing.T) {
	t.Parallel()
	proxies := httpx.Proxies{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}
	long := strings.Repeat("198.51.100.9, ", 400)
	for name, c := range map[string]struct {
		remote, want string
		headers      []string
	}{
		"a stranger's headers":           {"192.0.2.1:5", "192.0.2.1", []string{"X-Forwarded-For", "198.51.100.1", "Forwarded", "for=198.51.100.1"}},
		"no header":                      {"127.0.0.1:5", "127.0.0.1", nil},
		"one hop":                        {"127.0.0.1:5", "198.51.100.1", []string{"X-Forwarded-For", "198.51.100.1"}},
		"the client's own claim first":   {"127.0.0.1:5", "198.51.100.1", []string{"X-Forwarded-For", "203.0.113.7, 198.51.100.1"}},
		"in a line of its own":           {"127.0.0.1:5", "198.51.100.1", []string{"X-Forwarded-For", "203.0.113.7", "X-Forwarded-For", "198.51.100.1"}},
		"two proxies":                    {"127.0.0.1:5", "198.51.100.1", []string{"X-Forwarded-For", "203.0.113.7, 198.51.100.1, 10.1.2.3"}},
		"proxies alone":                  {"127.0.0.1:5", "10.0.0.1", []string{"X-Forwarded-For", "10.0.0.1, 10.1.2.3"}},
		"a proxy that does not say":      {"127.0.0.1:5", "10.1.2.3", []string{"X-Forwarded-For", "198.51.100.1, unknown, 10.1.2.3"}},
		"rubbish":                        {"127.0.0.1:5", "127.0.0.1", []string{"X-Forwarded-For", "\"\\"}},
		"empty":                          {"127.0.0.1:5", "127.0.0.1", []string{"X-Forwarded-For", ""}},
		"with a port":                    {"127.0.0.1:5", "198.51.100.1", []string{"X-Forwarded-For", "198.51.100.1:1234"}},
		"IPv6":                           {"[2001:db8:ffff::1]:5", "2001:db8::7", []string{"X-Forwarded-For", "2001:db8::7"}},
		"mapped":                         {"[::ffff:127.0.0.1]:5", "198.51.100.1", []string{"X-Forwarded-For", "::ffff:198.51.100.1"}},
		"Forwarded":                      {"127.0.0.1:5", "198.51.100.1", []string{"Forwarded", `for=203.0.113.7, For="198.51.100.1:80";proto=https;by=10.0.0.1`}},
		"Forwarded, IPv6":                {"127.0.0.1:5", "2001:db8::7", []string{"Forwarded", `proto=https;for="[2001:db8::7]:4711"`}},
		"Forwarded, a comma in quotes":   {"127.0.0.1:5", "198.51.100.1", []string{"Forwarded", `for=198.51.100.1;host="a, for=203.0.113.7"`}},
		"Forwarded, a name":              {"127.0.0.1:5", "127.0.0.1", []string{"Forwarded", "for=_hidden"}},
		"both, and they agree":           {"127.0.0.1:5", "198.51.100.1", []string{"Forwarded", "for=198.51.100.1", "X-Forwarded-For", "198.51.100.1"}},
		"both, and one was passed on":    {"127.0.0.1:5", "127.0.0.1", []string{"Forwarded", "for=203.0.113.7", "X-Forwarded-For", "198.51.100.1"}},
		"longer than anybody needs":      {"127.0.0.1:5", "127.0.0.1", []string{"X-Forwarded-For", long + "198.51.100.1"}},
		"more hops than anybody needs":   {"127.0.0.1:5", "10.0.0.2", []string{"X-Forwarded-For", "198.51.100.1," + strings.Repeat("10.0.0.2,", 40)}},
		"what only CloudFront's may say": {"127.0.0.1:5", "127.0.0.1", []string{"CloudFront-Viewer-Address", "198.51.100.1:5"}},
		"what nobody may say":            {"127.0.0.1:5", "127.0.0.1", []string{"X-Real-Ip", "198.51.100.1"}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = c.remote
		for i := 1; i < len(c.headers); i += 2 {
			r.Header.Add(c.headers[i-1], c.headers[i])
		}
		got := ""
		proxies.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = httpx.ClientAddr(r) })).ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestASubPathIsRefused(t *testing.T) {
	t.Parallel()
	proxies := httpx.Proxies{netip.MustParsePrefix("127.0.0.1/32")}
	for remote, want := range map[string]int{"127.0.0.1:5": 421, "192.0.2.1:5": 200} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-Prefix", "/greenroom")
		w := httptest.NewRecorder()
		proxies.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("from %s: status %d, want %d", remote, w.Code, want)
		}
	}
}

func TestViewerAddress(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"198.51.100.10:46532": "198.51.100.10", "2001:db8::7:46532": "2001:db8::7", "[2001:db8::7]:46532": "2001:db8::7", "": "", "x": "", ":": "", "1.2.3.4:5, 6.7.8.9:1": "",
	} {
		got, ok := httpx.ViewerAddress(http.Header{"Cloudfront-Viewer-Address": {value}})
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %s %v, want %q", value, got, ok, want)
		}
	}
}

func TestFromViewer(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"2001:db8::7:46532": "2001:db8::7", "nonsense": "192.0.2.1"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = "192.0.2.1:5"
		r.Header.Set("CloudFront-Viewer-Address", value)
		if httpx.FromViewer(r); httpx.ClientAddr(r) != want {
			t.Errorf("%q: %s, want %s", value, httpx.ClientAddr(r), want)
		}
	}
}

// FuzzForwarded: whatever a header says, the client is an address, and a stranger's never a proxy's unless it says so itself.
func FuzzForwarded(f *testing.F) {
	proxies := httpx.Proxies{netip.MustParsePrefix("127.0.0.1/32")}
	f.Add(`for="[::1]:5";by=x, for=1.2.3.4`, "1.2.3.4, 5.6.7.8:9")
	f.Fuzz(func(t *testing.T, forwarded, known string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = "127.0.0.1:5"
		r.Header["Forwarded"], r.Header["X-Forwarded-For"] = []string{forwarded}, []string{known}
		proxies.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := netip.ParseAddr(httpx.ClientAddr(r)); err != nil {
				t.Errorf("%q: %v", r.RemoteAddr, err)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
}
