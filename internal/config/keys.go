package config

import (
	"fmt"
	"strconv"
	"strings"

	"greenroom"
)

// key is one setting: its name as a path in the file, and where its value lies. File, environment, flags, the
// documentation and the log all go through the table of keys.
type key struct {
	name  string // dns.provider
	about string
	at    any // *string, *int, *bool, *Rate, *Secret, *[]string, *greenroom.Duration, roles or deadline
}

// deadline is the place of one phase's deadline.
type deadline struct {
	of    map[greenroom.Phase]greenroom.Duration
	phase greenroom.Phase
}

// keys lists the settings of c. They point into c.Blueprints: adding a blueprint makes them stale.
func (c *Config) keys() []key {
	ks := []key{
		{"listen", "Address of the pages and the API. Beyond loopback it needs api_token_file.", &c.Listen},
		{"desktop_listen", "Address under which browsers reach desktops.", &c.DesktopListen},
		{"dns_listen", "Address of the zone's DNS server, UDP and TCP.", &c.DNSListen},
		{"data_dir", "Directory of all data: database, authority, desktops. `~` is the home directory.", &c.DataDir},
		{"database", "PostgreSQL that several servers may share, `postgres://user:password@host:5432/database`; empty means SQLite in data_dir.", &c.Database},
		{"public_url", "Address of pages and API as people reach them; empty means `http://` and the address of listen.", &c.PublicURL},
		{"control_url", "Address of the API as desktops reach it: with several replicas, one that leads to any of them. Empty means `http://` and the address of listen.", &c.ControlURL},
		{"desktop_port", "Port of desktops' addresses as browsers use it, if a proxy is in front of desktop_listen. 0 means the port of desktop_listen.", &c.DesktopPort},
		{"zone", "DNS zone below which desktops are named.", &c.Zone},
		{"access", "How desktops are reached: `direct`, one address record and one key per desktop; `gateway`, one wildcard record, and greenroom ends TLS itself; `single`, below public_url, without names or ports of their own. See [access](access.md).", &c.Access},
		{"gateway_address", "With access `gateway`: the IPv4 address that the wildcard record leads to. Empty means the address of desktop_listen.", &c.GatewayAddress},
		{"resolver_networks", "Networks or addresses from which Amazon DCV connection gateways may ask where a session is (`POST /resolveSession`); empty means none.", &c.ResolverNetworks},
		{"max_seats", "The most seats that a meeting can have, whatever its roles.", &c.MaxSeats},
		{"video_url", "Address of a meeting's video room, with `{id}` for the meeting; empty means none.", &c.VideoURL},
		{"trusted_proxies", "Networks or addresses of the proxies in front of listen. Only they are believed when they name the client's address in `X-Forwarded-For`, `Forwarded` or the PROXY protocol. See [proxies](proxies.md).", &c.TrustedProxies},
		{"api_token_file", "File with the organisers' API tokens, as `greenroom token` writes it; empty: no token is needed, on loopback only.", &c.APITokenFile},
		{"identity_certificates", "File with AWS's certificates for instance identity documents (RSA-2048, PEM) of the regions in use; desktops on EC2 cannot enrol without.", &c.IdentityCerts},
		{"log_level", "`debug`, `info`, `warn` or `error`.", &c.LogLevel},
		{"otel_endpoint", "Address of an OpenTelemetry collector that takes traces over HTTP (OTLP), such as `http://127.0.0.1:4318`; empty: no traces. Not with functions.", &c.OTelEndpoint},
		{"dns.provider", "Who serves the zone: `embedded`, greenroom itself; `rfc2136`, a name server that takes signed updates; `route53`; `cloudflare`. See docs/dns.md.", &c.DNS.Provider},
		{"dns.server", "With rfc2136: the primary name server, host and port.", &c.DNS.Server},
		{"dns.tsig_name", "With rfc2136: the name of the TSIG key.", &c.DNS.TSIGName},
		{"dns.tsig_secret", "With rfc2136: the key, in base64.", &c.DNS.TSIGSecret},
		{"dns.tsig_algorithm", "With rfc2136: the key's algorithm, `hmac-sha1`, `-sha224`, `-sha256`, `-sha384` or `-sha512`.", &c.DNS.TSIGAlgorithm},
		{"dns.zone_id", "With route53 and cloudflare: the id of the zone; empty: it is looked up by name. With cloudflare it is needed where the token sees two active zones of that name, or where the zone is still pending.", &c.DNS.ZoneID},
		{"dns.token", "With cloudflare: an API token with the rights Zone Read and DNS Edit for the zone.", &c.DNS.Token},
		{"dns.proxied", "With cloudflare: browsers reach desktops through Cloudflare's edge.", &c.DNS.Proxied},
		{"dns.name_servers", "With embedded: the servers that the zone is delegated to, the first the primary, each a name and its IPv4 address, such as `ns1.desk.example.com=192.0.2.1`. Empty: `ns` below the zone, on this machine.", &c.DNS.NameServers},
		{"dns.ttl", "How long resolvers may remember a desktop's address; not with embedded.", &c.DNS.TTL},
		{"dns.servers", "The zone's servers that a proof asks, host and port; empty: those that the zone is delegated to. For a zone that this machine's resolver does not know. Not with embedded.", &c.DNS.Servers},
		{"dns.resolver", "A public resolver that a proof asks last, such as `1.1.1.1:53`; empty means none. Not with embedded.", &c.DNS.Resolver},
		{"dns.endpoint", "With route53 and cloudflare: the address of the API, if calls go through a proxy; empty means the provider's own.", &c.DNS.Endpoint},
		{"certificates.issuer", "Who issues certificates: `local`, greenroom's own authority; `files`, yours (access `gateway` only); `acme`, such as Let's Encrypt; `cloudflare-origin`, for proxied records. See [certificates](certificates.md).", &c.Certificates.Issuer},
		{"certificates.chain_file", "Issuer `files`: the certificate and what is between it and its root, PEM. It may be replaced at any time.", &c.Certificates.ChainFile},
		{"certificates.key_file", "Issuer `files`: its key, PEM.", &c.Certificates.KeyFile},
		{"certificates.roots_file", "Authorities to trust when desktops are proved, PEM; empty: the system's. Issuer `cloudflare-origin` needs Cloudflare's origin authorities here.", &c.Certificates.RootsFile},
		{"certificates.directory_url", "Issuer `acme`: the authority's directory; empty means Let's Encrypt.", &c.Certificates.DirectoryURL},
		{"certificates.email", "Issuer `acme`: contact address for warnings of the authority; may be empty.", &c.Certificates.Email},
		{"certificates.eab_key_id", "Issuer `acme`: the external account, where the authority wants one.", &c.Certificates.EABKeyID},
		{"certificates.eab_key", "Issuer `acme`: the external account's MAC key. A secret.", &c.Certificates.EABKey},
		{"certificates.token", "Issuer `cloudflare-origin`: API token with the right Zone, SSL and Certificates, Edit. A secret.", &c.Certificates.Token},
		{"certificates.edge", "Issuer `cloudflare-origin`: `universal`, or `advanced` if Cloudflare's edge has a certificate for names deeper than one level.", &c.Certificates.Edge},
		{"certificates.at_end", "Issuer `cloudflare-origin`: when a desktop is gone, its certificate is left to `expire` within seven days, or `revoke`d.", &c.Certificates.AtEnd},
	}
	ks = append(ks, c.TLS.keys()...)
	ks = append(ks, c.AWS.keys()...)
	ks = append(ks, c.Serverless.keys()...)
	for i := range c.Blueprints {
		ks = append(ks, blueprintKeys(&c.Blueprints[i])...)
	}
	return ks
}

func blueprintKeys(b *greenroom.Blueprint) []key {
	ks := []key{
		{"provider", "Who makes the machines: `local`, on this machine, or `ec2`, on Amazon EC2 (docs/aws.md).", (*string)(&b.Provider)},
		{"protocol", "How the screen reaches the browser: `novnc` on this machine, `dcv` elsewhere.", (*string)(&b.Protocol)},
		{"agent", "What runs on the machine beside the desktop: `greenroom`, its agent, or `none`, for an image of your own; see [DCV desktops](desktops-dcv.md).", &b.Agent},
		{"user", "Whose session it is on a machine with DCV: an account of the image.", &b.User},
		{"hooks", "Directory on the machine with the hooks of a desktop, `warmup.d` and `end.d`; empty: none on this machine, the agent's own elsewhere.", &b.Hooks},
		{"screen", "Size of the screen in pixels.", &b.Screen},
		{"seats", "The roles that a meeting can have: a list, or each with how many seats it has by default and at most; see below. In the environment: `teacher, student=12`.", roles{b}},
		{"applications", "Command lines started on the desktop.", &b.Applications},
		{"rules.lead", "Desktops are started this long before the meeting.", &b.Rules.Lead},
		{"rules.no_show_after", "This long after the start, a desktop that nobody used is removed, each by itself; the meeting goes on, and whoever comes later gets a new one ([states.md](states.md)).", &b.Rules.NoShowAfter},
		{"rules.empty_after", "The meeting ends when nobody was connected for this long after use. Whoever used a desktop keeps it for as long through a reload or a lost network.", &b.Rules.EmptyAfter},
		{"rules.grace", "Time after the end before desktops are removed; longer while somebody is connected or was within `empty_after`, up to `overtime`.", &b.Rules.Grace},
		{"rules.overtime", "Maximum time that use can extend a meeting past its end.", &b.Rules.Overtime},
		{"rules.kill_after", "Maximum age of a machine; the machine itself obeys it.", &b.Rules.KillAfter},
		{"rules.proof_age", "From `ready` on, nobody is sent to a desktop whose last proof is older; it is proved again about three times as often. `0s` is `15s` on this machine and `1m` elsewhere ([states.md](states.md)).", &b.Rules.ProofAge},
		{"rules.wrap_up", "Maximum time for the end hooks of a used desktop before it is removed.", &b.Rules.WrapUp},
	}
	ks = append(ks, ec2Keys(&b.EC2)...)
	for _, phase := range greenroom.Phases() {
		if phase.Starting() {
			ks = append(ks, key{"rules.stage_deadline." + string(phase), fmt.Sprintf("A desktop that is %s for longer has failed and is replaced.", phase),
				deadline{b.Rules.StageDeadline, phase}})
		}
	}
	for i := range ks {
		ks[i].name = "blueprints." + b.Name + "." + ks[i].name
	}
	return ks
}

// env is the key's environment variable.
func (k key) env() string {
	return "GREENROOM_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(k.name))
}

// put sets the key from text; a list is written with commas.
func (k key) put(v string) error {
	switch at := k.at.(type) {
	case *string:
		*at = v
	case *int:
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("must be a whole number, and is %q", v)
		}
		*at = n
	case *bool:
		on, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("must be true or false, and is %q", v)
		}
		*at = on
	case *Rate:
		return at.UnmarshalText([]byte(v))
	case *Secret:
		*at = Secret(v)
	case *[]string:
		*at = nil
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*at = append(*at, item)
			}
		}
	case roles:
		return at.put(v)
	case *greenroom.Duration:
		return at.UnmarshalText([]byte(v))
	case deadline:
		var d greenroom.Duration
		if err := d.UnmarshalText([]byte(v)); err != nil {
			return err
		}
		at.of[at.phase] = d
	}
	return nil
}

// shown is the value for people, without secrets.
func (k key) shown() string {
	switch at := k.at.(type) {
	case *string:
		return *at
	case *int:
		return strconv.Itoa(*at)
	case *bool:
		return strconv.FormatBool(*at)
	case *Rate:
		return at.String()
	case *Secret:
		return at.String()
	case *[]string:
		return strings.Join(*at, ", ")
	case roles:
		return at.shown()
	case *greenroom.Duration:
		return short(*at)
	case deadline:
		return short(at.of[at.phase])
	}
	return ""
}

// short writes 10m instead of 10m0s.
func short(d greenroom.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
