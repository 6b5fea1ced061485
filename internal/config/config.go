// Package config is the program's configuration: one struct, filled by default < file < environment <
// flag, judged as a whole, and documented from the same table that reads it.
package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"greenroom"
)

// Config is the whole configuration.
type Config struct {
	Listen           string   // pages and API
	DesktopListen    string   // browsers reach desktops here
	DNSListen        string   // the zone's server, UDP and TCP
	DataDir          string   // absolute after Load
	Database         Secret   // postgres://…; empty is SQLite in DataDir
	PublicURL        string   // of pages and API as people reach them; empty is http:// and the listen address
	ControlURL       string   // of the API as desktops reach it; empty is http:// and the listen address
	DesktopPort      int      // of desktops' addresses as browsers use it; 0 is that of DesktopListen
	Zone             string   // desktops are named below it
	Access           string   // "direct", "gateway" or "single"
	GatewayAddress   string   // IPv4 address that all desktops' names have with access by gateway; empty is that of DesktopListen
	TrustedProxies   []string // networks whose forwarding headers and PROXY protocol are believed on Listen
	ResolverNetworks []string // from where DCV connection gateways may ask for sessions; none: nobody may
	MaxSeats         int      // of one meeting
	VideoURL         string   // template with {id}; empty means none
	APITokenFile     string   // organisers' tokens; empty means none
	LogLevel         string
	OTelEndpoint     string // base URL of an OpenTelemetry collector; empty: no traces
	IdentityCerts    string // file with AWS's certificates of instance identity documents; empty means none
	DNS              DNS
	Certificates     Certificates
	TLS              TLS // of pages and API
	AWS              AWS
	Serverless       Serverless
	Blueprints       []greenroom.Blueprint // "default" first
}

// DNS says who serves the zone.
type DNS struct {
	Provider      string
	Server        string // rfc2136: host:port of the primary
	TSIGName      string
	TSIGSecret    Secret
	TSIGAlgorithm string
	ZoneID        string   // of route53 and cloudflare; empty is found by name
	Token         Secret   // cloudflare
	Proxied       bool     // cloudflare
	NameServers   []string // embedded: name=address of each server that the zone is delegated to
	TTL           greenroom.Duration
	Servers       []string // host:port of the servers that a proof asks; empty: those that the zone is delegated to
	Resolver      string   // host:port; asked last in a proof; empty means none
	Endpoint      string   // of route53's or cloudflare's API; empty: the provider's own
}

// Certificates says who issues them.
type Certificates struct {
	Issuer       string
	ChainFile    string // issuer files: PEM, leaf first
	KeyFile      string // issuer files: PEM
	RootsFile    string // PEM of the authorities to trust for the certificates; empty: the system's
	DirectoryURL string // issuer acme; empty means Let's Encrypt
	Email        string // issuer acme; may be empty
	EABKeyID     string // issuer acme, where the authority wants an external account
	EABKey       Secret
	Token        Secret // issuer cloudflare-origin
	Edge         string // issuer cloudflare-origin: universal or advanced
	AtEnd        string // issuer cloudflare-origin: expire or revoke
}

// Secret is a value that is never printed, or says where it is kept: see package secrets.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString keeps %#v from printing it.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps logs from printing it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps JSON and YAML from printing it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// Default is the configuration of a greenroom that was told nothing: the whole product on loopback.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080", DesktopListen: net.JoinHostPort("127.0.0.1", strconv.Itoa(greenroom.DesktopPort)), DNSListen: "127.0.0.1:8053",
		DataDir: "~/.local/share/greenroom", Zone: "desk.localhost", Access: AccessDirect, LogLevel: "info", MaxSeats: 200,
		DNS:          DNS{Provider: DNSEmbedded, TSIGAlgorithm: "hmac-sha256", TTL: greenroom.Duration(time.Minute)},
		Certificates: Certificates{Issuer: IssuerLocal, Edge: "universal", AtEnd: "expire"},
		AWS:          defaultAWS(),
		Blueprints:   []greenroom.Blueprint{greenroom.DefaultBlueprint()},
	}
}

// Public is where people reach the pages: PublicURL, or else the address that the server listens on.
func (c Config) Public(listen net.Addr) string {
	if c.PublicURL != "" {
		return strings.TrimRight(c.PublicURL, "/")
	}
	if c.TLS.Issuer != "" {
		return "https://" + listen.String()
	}
	return "http://" + listen.String()
}

// Control is where desktops reach the API: ControlURL, or else the address that the server listens on.
func (c Config) Control(listen net.Addr) string {
	if c.ControlURL != "" {
		return strings.TrimRight(c.ControlURL, "/")
	}
	return "http://" + listen.String()
}

// Gateway is the address that all desktops' names have with access by gateway: GatewayAddress, or else the address of
// DesktopListen. It is not valid if that is every address.
func (c Config) Gateway() netip.Addr {
	if c.GatewayAddress != "" {
		a, _ := netip.ParseAddr(c.GatewayAddress)
		return a
	}
	a, err := netip.ParseAddrPort(resolved(c.DesktopListen))
	if err != nil || a.Addr().IsUnspecified() {
		return netip.Addr{}
	}
	return a.Addr()
}

// Resolvers is ResolverNetworks as Validate has seen them.
func (c Config) Resolvers() []netip.Prefix { return networks(c.ResolverNetworks) }

// Proxies is TrustedProxies as Validate has seen them.
func (c Config) Proxies() []netip.Prefix { return networks(c.TrustedProxies) }

func networks(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		if n, err := network(s); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// Level is LogLevel for slog.
func (c Config) Level() slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(c.LogLevel)) // Validate has seen it
	return l
}

// LogValue tells what was configured otherwise than by default, without secrets.
func (c Config) LogValue() slog.Value {
	usual, byDefault := Default(), map[string]string{}
	for _, k := range usual.keys() {
		byDefault[k.name] = k.shown()
	}
	var attrs []slog.Attr
	for _, k := range c.keys() {
		if value, known := byDefault[k.name]; !known || value != k.shown() {
			attrs = append(attrs, slog.String(k.name, k.shown())) //nolint:sloglint // the key is the setting's
		}
	}
	return slog.GroupValue(attrs...)
}

// Loopback reports whether the pages and the API are reachable from this machine only.
func (c Config) Loopback() bool {
	a, err := netip.ParseAddrPort(resolved(c.Listen))
	return err == nil && a.Addr().IsLoopback()
}

// resolved makes localhost an address: it is loopback by definition.
func resolved(listen string) string {
	if port, ok := strings.CutPrefix(listen, "localhost:"); ok {
		return "127.0.0.1:" + port
	}
	return listen
}

// expand makes path absolute, with ~ for the home directory.
func expand(path, home string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		if home == "" {
			return "", fmt.Errorf("%q needs a home directory, and HOME is not set", path)
		}
		path = home + path[1:]
	}
	return filepath.Abs(path)
}
