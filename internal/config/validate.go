package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"greenroom"
	"greenroom/internal/secrets"
)

// Validate reports every fault at once, in one greenroom.InvalidError that names the keys.
func (c Config) Validate() error {
	var bad greenroom.InvalidError
	c.validate(&bad)
	return bad.Err()
}

// validate judges the keys that have no fault of form already.
func (c Config) validate(bad *greenroom.InvalidError) {
	faulty := map[string]bool{}
	for _, f := range bad.Fields {
		faulty[f.Field] = true
	}
	var found greenroom.InvalidError
	c.judge(&found)
	for _, f := range found.Fields {
		if !faulty[f.Field] {
			bad.Fields = append(bad.Fields, f)
		}
	}
}

func (c Config) judge(bad *greenroom.InvalidError) {
	for _, a := range []struct{ key, value string }{{"listen", c.Listen}, {"desktop_listen", c.DesktopListen}, {"dns_listen", c.DNSListen}} {
		if _, err := netip.ParseAddrPort(resolved(a.value)); err != nil {
			bad.Add(a.key, "must be an address and a port, such as 127.0.0.1:8080, and is %q", a.value)
		}
	}
	c.judgeExposure(bad)
	if c.DataDir == "" {
		bad.Add("data_dir", "must name a directory")
	}
	if c.Database != "" && !secrets.IsReference(c.Database.Reveal()) && !validDatabase(c.Database.Reveal()) {
		bad.Add("database", "must begin with postgres:// or postgresql:// and name a server, such as postgres://user:password@host:5432/greenroom, or be empty for SQLite in data_dir")
	}
	if !validZone(c.Zone) {
		bad.Add("zone", "must be a DNS name such as desk.localhost, and is %q", c.Zone)
	}
	for _, u := range []struct{ key, value string }{{"public_url", c.PublicURL}, {"control_url", c.ControlURL}, {"otel_endpoint", c.OTelEndpoint}} {
		if u.value != "" && !validURL(u.value) {
			bad.Add(u.key, "must be http:// or https:// and a host, without a path (greenroom needs a host name of its own), such as https://meet.example.com, and is %q", u.value)
		}
	}
	if c.DesktopPort < 0 || c.DesktopPort > 65535 {
		bad.Add("desktop_port", "must be 1 to 65535, or 0 for the port of desktop_listen, and is %d", c.DesktopPort)
	}
	if v := strings.ReplaceAll(c.VideoURL, "{id}", "id"); v != "" && !validLink(v) {
		bad.Add("video_url", "must be an http:// or https:// address with {id} in it, and is %q", c.VideoURL)
	} else if v != "" && !strings.Contains(c.VideoURL, "{id}") {
		bad.Add("video_url", "must hold {id}, or every meeting would have the same room")
	}
	c.judgeAccess(bad)
	c.judgeSeats(bad)
	oneOf(bad, "log_level", c.LogLevel, "debug", "info", "warn", "error")
	c.judgeDNS(bad)
	c.judgeSecrets(bad)
	c.judgeCertificates(bad)
	c.judgeTLS(bad)
	for _, b := range c.Blueprints {
		prefix := "blueprints." + b.Name
		oneOf(bad, prefix+".provider", b.Provider, greenroom.Providers()...)
		judgeDesktop(bad, prefix, b)
		judgeApplications(bad, prefix, b.Applications)
		for _, r := range b.Roles {
			judgeApplications(bad, prefix+".seats."+r.Name, r.Applications)
		}
		b.Validate(prefix, bad)
	}
	c.AWS.judge(bad)
}

func judgeApplications(bad *greenroom.InvalidError, prefix string, applications []string) {
	for i, app := range applications {
		if strings.TrimSpace(app) == "" || len(app) > 1000 || strings.ContainsAny(app, "\x00\n") {
			bad.Add(fmt.Sprintf("%s.applications[%d]", prefix, i), "must be one command line of at most 1000 bytes")
		}
	}
}

// judgeSeats judges how many seats meetings have.
func (c Config) judgeSeats(bad *greenroom.InvalidError) {
	if c.MaxSeats < 1 || c.MaxSeats > greenroom.MaxRoleCount {
		bad.Add("max_seats", "must be from 1 to %d, and is %d", greenroom.MaxRoleCount, c.MaxSeats)
		return
	}
	for _, b := range c.Blueprints {
		if n := len(b.DefaultSeats()); n > c.MaxSeats {
			bad.Add("blueprints."+b.Name+".seats", "the counts are %d seats together, and a meeting has at most %d (max_seats)", n, c.MaxSeats)
		}
	}
}

// judgeDesktop joins what a machine can be with who makes it: this machine's desktops run greenroom's agent and speak noVNC.
func judgeDesktop(bad *greenroom.InvalidError, prefix string, b greenroom.Blueprint) {
	oneOf(bad, prefix+".protocol", b.Protocol, greenroom.Protocols()...)
	if b.Provider == greenroom.ProviderLocal && b.Protocol == greenroom.DCV {
		bad.Add(prefix+".protocol", "must be novnc with the provider local: DCV runs on machines of its own")
	}
	if b.Provider == greenroom.ProviderEC2 && b.Protocol == greenroom.NoVNC {
		bad.Add(prefix+".protocol", "must be dcv with the provider ec2: noVNC is for desktops on this machine")
	}
	if b.Provider == greenroom.ProviderLocal && !b.Reports() {
		bad.Add(prefix+".agent", "must be greenroom with the provider local: nothing else runs its desktops")
	}
	if b.Hooks != "" && !filepath.IsAbs(b.Hooks) && !windowsPath.MatchString(b.Hooks) {
		bad.Add(prefix+".hooks", "must be an absolute path on the desktop's machine, and is %q", b.Hooks)
	}
}

var windowsPath = regexp.MustCompile(`^[A-Za-z]:[/\\]`)

// judgeExposure keeps a server that everybody may command from being reachable by everybody.
func (c Config) judgeExposure(bad *greenroom.InvalidError) {
	if len(c.TrustedProxies) > 0 && c.APITokenFile == "" && c.Serverless.APITokens == "" {
		bad.Add("trusted_proxies", "lets others reach this server through a proxy, and without api_token_file anybody there could command it: "+
			"make a token with \"greenroom token --file FILE\" and set api_token_file to FILE")
	}
	a, err := netip.ParseAddrPort(resolved(c.Listen))
	if err != nil || a.Addr().IsLoopback() {
		return
	}
	if c.APITokenFile == "" {
		bad.Add("listen", "%s can be reached from other machines, and without api_token_file anybody there could command this server: "+
			"make a token with \"greenroom token --file FILE\" and set api_token_file to FILE, or listen on 127.0.0.1", c.Listen)
	}
	if a.Addr().IsUnspecified() && c.PublicURL == "" {
		bad.Add("public_url", "must be set when listen is every address (%s): join links need one that people can open", c.Listen)
	}
}

// judgeAccess judges how desktops are reached.
func (c Config) judgeAccess(bad *greenroom.InvalidError) {
	oneOf(bad, "access", c.Access, AccessDirect, AccessGateway, AccessSingle)
	if c.Access == AccessSingle {
		c.judgeSingle(bad)
	}
	if c.GatewayAddress != "" && c.Access != AccessGateway {
		bad.Add("gateway_address", "is for access: gateway only, and access is %s", c.Access)
	} else if c.Access == AccessGateway && !c.Gateway().Is4() {
		bad.Add("gateway_address", "must be the IPv4 address under which browsers reach desktop_listen (%s), and is %q", c.DesktopListen, c.GatewayAddress)
	}
	for _, k := range []struct {
		key  string
		list []string
	}{{"resolver_networks", c.ResolverNetworks}, {"trusted_proxies", c.TrustedProxies}} {
		for i, n := range k.list {
			if _, err := network(n); err != nil {
				bad.Add(fmt.Sprintf("%s[%d]", k.key, i), "must be an address or a network, such as 10.0.1.0/24, and is %q", n)
			}
		}
	}
	for i, n := range c.Proxies() {
		if n.Bits() == 0 {
			bad.Add(fmt.Sprintf("trusted_proxies[%d]", i), "is every address, and then anybody could claim to be anybody: name the proxies' own networks")
		}
	}
}

func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Prefix(a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func oneOf[T ~string](bad *greenroom.InvalidError, name string, value T, possible ...T) {
	if slices.Contains(possible, value) {
		return
	}
	if len(possible) == 1 {
		bad.Add(name, "must be %s in this version, and is %q", possible[0], value)
		return
	}
	bad.Add(name, "must be one of %s, and is %q", joined(possible), value)
}

func joined[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

// longestHost is what precedes the zone in a desktop's name: an instance id and a dot.
const longestHost = 20

func validZone(zone string) bool {
	return len(zone)+longestHost <= 253 && validName(zone)
}

// validDatabase judges the form only; the server judges the rest. The value holds a password: no message quotes it.
func validDatabase(s string) bool {
	rest, ok := strings.CutPrefix(s, "postgres://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "postgresql://")
	}
	return ok && rest != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func validLink(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

func validURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && validLink(s) && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == ""
}
