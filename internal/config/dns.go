package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/secrets"
)

// dnsKeys says which keys below dns a provider knows, beside provider, ttl, servers and resolver.
var dnsKeys = map[string][]string{
	"embedded": {"dns.name_servers"},
	"rfc2136":  {"dns.server", "dns.tsig_name", "dns.tsig_secret"}, "route53": {"dns.zone_id", "dns.endpoint"},
	"cloudflare": {"dns.zone_id", "dns.token", "dns.proxied", "dns.endpoint"},
}

var (
	route53ID    = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	cloudflareID = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// Bounds of dns.ttl: what every plan of every provider takes.
const (
	leastTTL = time.Minute
	mostTTL  = 24 * time.Hour
)

func (c Config) judgeDNS(bad *greenroom.InvalidError) {
	d := c.DNS
	oneOf(bad, "dns.provider", d.Provider, DNSEmbedded, DNSRFC2136, DNSRoute53, DNSCloudflare)
	if d.Resolver != "" && !validHostPort(d.Resolver) {
		bad.Add("dns.resolver", "must be an address and a port, such as 1.1.1.1:53, or empty, and is %q", d.Resolver)
	}
	for i, s := range d.Servers {
		if !validHostPort(s) {
			bad.Add(fmt.Sprintf("dns.servers[%d]", i), "must be an address and a port, such as 192.0.2.1:53, and is %q", s)
		}
	}
	if len(d.Servers) > 0 && d.Provider == DNSEmbedded {
		bad.Add("dns.servers", "has no meaning with dns.provider embedded: greenroom itself is the server")
	}
	if d.Endpoint != "" && !validEndpoint(d.Endpoint) {
		bad.Add("dns.endpoint", "must be an https:// address, or an http:// address of this machine, and is %q", d.Endpoint)
	}
	if ttl := time.Duration(d.TTL); ttl < leastTTL || ttl > mostTTL {
		bad.Add("dns.ttl", "must be 1m to 24h, and is %s", d.TTL)
	}
	if dnsKeys[d.Provider] != nil && d.Provider != DNSEmbedded && (c.Zone == "localhost" || strings.HasSuffix(c.Zone, ".localhost")) {
		bad.Add("zone", "must be a zone that %s serves, such as desk.example.com: %s is this machine's own", d.Provider, c.Zone)
	}
	switch d.Provider {
	case DNSEmbedded:
		c.judgeNameServers(bad)
	case DNSRFC2136:
		d.judgeRFC2136(bad)
	case DNSRoute53:
		if d.ZoneID != "" && !route53ID.MatchString(d.ZoneID) {
			bad.Add("dns.zone_id", "must be the id of a hosted zone, such as Z0123456789ABCDEFGHIJ, and is %q", d.ZoneID)
		}
	case DNSCloudflare:
		if d.Token == "" {
			bad.Add("dns.token", "must be an API token with the rights Zone Read and DNS Edit for the zone")
		}
		if d.ZoneID != "" && !cloudflareID.MatchString(d.ZoneID) {
			bad.Add("dns.zone_id", "must be the 32 digits of a zone's id, as its overview page shows it, and is %q", d.ZoneID)
		}
	}
	for key, given := range map[string]bool{
		"dns.server": d.Server != "", "dns.tsig_name": d.TSIGName != "", "dns.tsig_secret": d.TSIGSecret != "", "dns.zone_id": d.ZoneID != "",
		"dns.token": d.Token != "", "dns.proxied": d.Proxied, "dns.endpoint": d.Endpoint != "", "dns.name_servers": len(d.NameServers) > 0,
	} {
		if given && !slices.Contains(dnsKeys[d.Provider], key) {
			bad.Add(key, "has no meaning with dns.provider %s", d.Provider)
		}
	}
}

// mostServers is more than any zone has.
const mostServers = 13

// judgeNameServers judges the servers of a zone that greenroom itself serves.
func (c Config) judgeNameServers(bad *greenroom.InvalidError) {
	if len(c.DNS.NameServers) > mostServers {
		bad.Add("dns.name_servers", "must be at most %d servers", mostServers)
	}
	seen := map[string]bool{}
	for i, text := range c.DNS.NameServers {
		key := fmt.Sprintf("dns.name_servers[%d]", i)
		s, err := nameServer(text)
		switch {
		case err != nil:
			bad.Add(key, "must be a name in lower case and its address, such as ns1.desk.example.com=192.0.2.1, or two, such as …=192.0.2.1+2001:db8::1, and is %q", text)
		case seen[s.Name]:
			bad.Add(key, "duplicate name: give both addresses of a server in one line, as name=192.0.2.1+2001:db8::1")
		case s.Name == c.Zone:
			bad.Add(key, "must not be the zone itself, but for instance ns1.%s", c.Zone)
		}
		seen[s.Name] = true
	}
}

// NameServer is one of the servers that the embedded zone is delegated to.
type NameServer struct {
	Name     string
	Address  netip.Addr // IPv4; not valid if it has none
	Address6 netip.Addr // IPv6; not valid if it has none
}

func nameServer(text string) (NameServer, error) {
	name, addresses, _ := strings.Cut(text, "=")
	four, six, err := pair(strings.Split(addresses, "+"))
	if err != nil || !validName(name) {
		return NameServer{}, errors.New("not a name and its addresses")
	}
	return NameServer{name, four, six}, nil
}

// validName wants two labels at least: one alone is no name that can be delegated.
func validName(name string) bool { return strings.Contains(name, ".") && greenroom.ValidHostname(name) }

// OwnServers are the embedded zone's, as Validate has seen them.
func (d DNS) OwnServers() []NameServer {
	var out []NameServer
	for _, text := range d.NameServers {
		if s, err := nameServer(text); err == nil {
			out = append(out, s)
		}
	}
	return out
}

func (d DNS) judgeRFC2136(bad *greenroom.InvalidError) {
	if !validHostPort(d.Server) {
		bad.Add("dns.server", "must be the primary name server and its port, such as 192.0.2.1:53, and is %q", d.Server)
	}
	if d.TSIGName == "" {
		bad.Add("dns.tsig_name", "must be the name of the TSIG key that may update the zone")
	}
	if d.TSIGSecret == "" {
		bad.Add("dns.tsig_secret", "must be the TSIG key in base64, as tsig-keygen prints it")
	} else if _, err := base64.StdEncoding.DecodeString(d.TSIGSecret.Reveal()); err != nil && !secrets.IsReference(d.TSIGSecret.Reveal()) {
		bad.Add("dns.tsig_secret", "must be in base64, as tsig-keygen prints it")
	}
	oneOf(bad, "dns.tsig_algorithm", d.TSIGAlgorithm, "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
}

// validEndpoint reports whether the address is one that secrets may be sent to.
func validEndpoint(s string) bool {
	u, err := url.Parse(s)
	if err != nil || !validLink(s) || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	address, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || err == nil && address.IsLoopback()
}

func validHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
