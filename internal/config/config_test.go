package config_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/config"
)

var update = flag.Bool("update", false, "write the generated documentation")

func env(pairs ...string) func(string) string {
	m := map[string]string{"HOME": "/home/ada"}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "greenroom.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	t.Parallel()

	t.Run("NothingIsTheDefault", func(t *testing.T) {
		t.Parallel()
		got, err := config.Load("", env(), nil)
		want := config.Default()
		want.DataDir = "/home/ada/.local/share/greenroom"
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatalf("err %v, diff (-want +got):\n%s", err, diff)
		}
	})

	t.Run("FlagBeatsEnvironmentBeatsFileBeatsDefault", func(t *testing.T) {
		t.Parallel()
		path := file(t, "listen: 127.0.0.1:1\nzone: file.test\ndns_listen: 127.0.0.1:3\n")
		got, err := config.Load(path, env("GREENROOM_LISTEN", "127.0.0.1:2", "GREENROOM_ZONE", "env.test"), map[string]string{"zone": "flag.test"})
		if err != nil {
			t.Fatal(err)
		}
		for name, pair := range map[string][2]string{
			"listen": {got.Listen, "127.0.0.1:2"}, "zone": {got.Zone, "flag.test"}, "dns_listen": {got.DNSListen, "127.0.0.1:3"}, "desktop_listen": {got.DesktopListen, "127.0.0.1:8443"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
			}
		}
	})

	t.Run("EveryKeyIsAnEnvironmentVariable", func(t *testing.T) {
		t.Parallel()
		got, err := config.Load("", env("GREENROOM_BLUEPRINTS_DEFAULT_SEATS", "host, guest", "GREENROOM_BLUEPRINTS_DEFAULT_RULES_LEAD", "1m",
			"GREENROOM_BLUEPRINTS_DEFAULT_RULES_STAGE_DEADLINE_BOOTING", "7s"), nil)
		if err != nil {
			t.Fatal(err)
		}
		b := got.Blueprints[0]
		if diff := cmp.Diff([]string{"host", "guest"}, b.Seats); diff != "" {
			t.Error(diff)
		}
		if b.Rules.Lead != greenroom.Duration(time.Minute) || b.Rules.StageDeadline[greenroom.Booting] != greenroom.Duration(7*time.Second) {
			t.Errorf("rules are %+v", b.Rules)
		}
	})

	t.Run("PartialBlueprintsTakeDefaults", func(t *testing.T) {
		t.Parallel()
		path := file(t, "blueprints:\n  default:\n    rules: {grace: 1s, stage_deadline: {booting: 9s}}\n  lab:\n    seats: [a, b, c]\n  plain: {}\n")
		got, err := config.Load(path, env(), nil)
		if err != nil {
			t.Fatal(err)
		}
		def := greenroom.DefaultBlueprint()
		def.Rules.Grace = greenroom.Duration(time.Second)
		def.Rules.StageDeadline[greenroom.Booting] = greenroom.Duration(9 * time.Second)
		lab, plain := greenroom.DefaultBlueprint(), greenroom.DefaultBlueprint()
		lab.Name, lab.Seats, plain.Name = "lab", []string{"a", "b", "c"}, "plain"
		if diff := cmp.Diff([]greenroom.Blueprint{def, lab, plain}, got.Blueprints); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("RolesWithCounts", func(t *testing.T) {
		t.Parallel()
		want := []greenroom.Role{{Name: "student", Count: 12, Max: 40, Screen: "1024x768", Applications: []string{}}, {Name: "guest"}}
		forms := map[string]func() (config.Config, error){
			"File": func() (config.Config, error) {
				return config.Load(file(t, "blueprints:\n  default:\n    seats:\n      teacher:\n      student: {count: 12, max: 40, screen: 1024x768, applications: []}\n      guest: 0\n"), env(), nil)
			},
			"Environment": func() (config.Config, error) {
				return config.Load("", env("GREENROOM_BLUEPRINTS_DEFAULT_SEATS", "{teacher: 1, student: {count: 12, max: 40, screen: 1024x768, applications: []}, guest: 0}"), nil)
			},
		}
		for name, load := range forms {
			got, err := load()
			if err != nil {
				t.Fatal(name, err)
			}
			if diff := cmp.Diff(want, got.Blueprints[0].Roles); diff != "" || strings.Join(got.Blueprints[0].Seats, " ") != "teacher student guest" {
				t.Errorf("%s: %v (-want +got):\n%s", name, got.Blueprints[0].Seats, diff)
			}
		}
		got, err := config.Load("", env("GREENROOM_BLUEPRINTS_DEFAULT_SEATS", "teacher, student=3"), nil)
		if err != nil || strings.Join(got.Blueprints[0].DefaultSeats(), " ") != "teacher student student student" {
			t.Errorf("%v, %v", got.Blueprints[0].DefaultSeats(), err)
		}
	})

	t.Run("CommentsOnlyIsTheDefault", func(t *testing.T) {
		t.Parallel()
		if _, err := config.Load(file(t, "# nothing yet\n"), env(), nil); err != nil {
			t.Fatal(err)
		}
	})
}

// ec2File is a good blueprint for EC2 with one more line.
func ec2File(line string) string {
	head := "blueprints:\n  default:\n    provider: ec2\n    protocol: dcv\n    instance_types: [t3.large]\n"
	if !strings.HasPrefix(line, "image:") {
		head += "    image: ami-0123456789abcdef0\n"
	}
	return head + "    " + line + "\n"
}

func TestEC2Blueprint(t *testing.T) {
	t.Parallel()
	got, err := config.Load(file(t, ec2File("subnets: [subnet-0123456789abcdef0]")+"    spot: true\n    disk_gib: 40\naws: {region: eu-west-1, run_instances: 10+4/s}\n"), env(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := greenroom.EC2{Image: "ami-0123456789abcdef0", InstanceTypes: []string{"t3.large"}, Subnets: []string{"subnet-0123456789abcdef0"}, DiskGiB: 40, Spot: true, PublicAddress: "true"}
	if diff := cmp.Diff(want, got.Blueprints[0].EC2); diff != "" {
		t.Error(diff)
	}
	if got.AWS.Region != "eu-west-1" || got.AWS.RunInstances != (config.Rate{Burst: 10, PerSecond: 4}) || got.AWS.Describe != (config.Rate{Burst: 100, PerSecond: 20}) {
		t.Errorf("AWS is %+v", got.AWS)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, field, says string }{
		{"UnknownKeyNamesItsLineAndWhatWasMeant", "listen: 127.0.0.1:1\nlistne: 127.0.0.1:1\n", "listne", "line 2: there is no such key; did you mean listen?"},
		{"UnknownNestedKey", "dns:\n  colour: red\n", "dns.colour", "line 2: there is no such key"},
		{"UnknownRule", "blueprints:\n  default:\n    rules: {laed: 1m}\n", "blueprints.default.rules.laed", "did you mean blueprints.default.rules.lead?"},
		{"SameKeyTwice", "zone: a.test\nzone: b.test\n", "zone", "duplicate key, on lines 1 and 2"},
		{"BadDuration", "blueprints:\n  default:\n    rules: {lead: soon}\n", "blueprints.default.rules.lead", `"soon" is not`},
		{"DurationOutOfBounds", "blueprints:\n  default:\n    rules: {no_show_after: 0s}\n", "blueprints.default.rules.no_show_after", "must be from 1s"},
		{"ListWanted", "blueprints:\n  default:\n    seats: teacher\n", "blueprints.default.seats", "must be a list"},
		{"OneValueWanted", "listen: [a, b]\n", "listen", "must be one value"},
		{"RoleIsNoList", "blueprints:\n  default:\n    seats: {teacher: [1]}\n", "blueprints.default.seats.teacher", "line 3: must be a count"},
		{"RoleWithoutCount", "blueprints:\n  default:\n    seats: {teacher: many}\n", "blueprints.default.seats.teacher", "must be a whole number"},
		{"RoleTwice", "blueprints:\n  default:\n    seats: {teacher: 1, teacher: 2}\n", "blueprints.default.seats.teacher", "duplicate role"},
		{"RoleInTheListTwice", "blueprints:\n  default:\n    seats: [a, a]\n", "blueprints.default.seats[1]", "duplicate role"},
		{"UnknownKeyOfARole", "blueprints:\n  default:\n    seats:\n      student: {count: 2, colour: red}\n", "blueprints.default.seats.student.colour", "line 4: there is no such key"},
		{"KeyOfARoleTwice", "blueprints:\n  default:\n    seats:\n      student: {count: 2, count: 3}\n", "blueprints.default.seats.student.count", "duplicate key"},
		{"NegativeCount", "blueprints:\n  default:\n    seats: {teacher: 1, student: -1}\n", "blueprints.default.seats.student.count", "from 0 to"},
		{"MaxBelowCount", "blueprints:\n  default:\n    seats: {student: {count: 3, max: 2}}\n", "blueprints.default.seats.student.max", "must not be less than count"},
		{"NobodyByDefault", "blueprints:\n  default:\n    seats: {student: 0}\n", "blueprints.default.seats", "every count is 0"},
		{"ScreenOfARole", "blueprints:\n  default:\n    seats: {student: {screen: big}}\n", "blueprints.default.seats.student.screen", "a screen is WIDTHxHEIGHT"},
		{"ImageOfARoleOnThisMachine", "blueprints:\n  default:\n    seats: {student: {image: ami-0123456789abcdef0}}\n", "blueprints.default.seats.student.image", "is for the provider ec2"},
		{"TypesOfARole", ec2File("seats: {student: {instance_types: [huge]}}"), "blueprints.default.seats.student.instance_types", "t3.large"},
		{"ApplicationOfARole", "blueprints:\n  default:\n    seats: {student: {applications: [' ']}}\n", "blueprints.default.seats.student.applications[0]", "one command line"},
		{"MoreSeatsThanAMeetingCanHave", "max_seats: 10\nblueprints:\n  default:\n    seats: {student: 11}\n", "blueprints.default.seats", "at most 10 (max_seats)"},
		{"NoSeatsAtAll", "max_seats: 0\n", "max_seats", "from 1 to 1000"},
		{"NoSuchPhase", "blueprints:\n  default:\n    rules: {stage_deadline: {ready: 1m}}\n", "blueprints.default.rules.stage_deadline.ready", "there is no such key"},
		{"BadAddress", "listen: everywhere\n", "listen", "must be an address and a port"},
		{"BadPort", "dns_listen: 127.0.0.1:99999\n", "dns_listen", "must be an address and a port"},
		{"BadZone", "zone: Desk_Localhost\n", "zone", "must be a DNS name"},
		{"BadPublicURL", "public_url: ftp://x\n", "public_url", "must be http:// or https://"},
		{"VideoURLWithoutPlace", "video_url: https://meet.example.com/\n", "video_url", "must hold {id}"},
		{"OtherDNS", "dns: {provider: hosts}\n", "dns.provider", "must be one of embedded, rfc2136, route53, cloudflare"},
		{"RealDNSForThisMachine", "dns: {provider: route53}\n", "zone", "desk.example.com"},
		{"CloudflareWithoutToken", "zone: a.example\ndns: {provider: cloudflare}\n", "dns.token", "Zone Read and DNS Edit"},
		{"KeyOfAnotherProvider", "zone: a.example\ndns: {provider: route53, server: \"192.0.2.1:53\"}\n", "dns.server", "has no meaning with dns.provider route53"},
		{"UpdateKeyNotInBase64", "zone: a.example\ndns: {provider: rfc2136, server: \"192.0.2.1:53\", tsig_name: k, tsig_secret: \"?\"}\n", "dns.tsig_secret", "base64"},
		{"ServersOfOurOwnZone", "dns: {servers: [\"192.0.2.1:53\"]}\n", "dns.servers", "greenroom itself is the server"},
		{"ServerWithoutPort", "zone: a.example\ndns: {provider: route53, servers: [192.0.2.1]}\n", "dns.servers[0]", "an address and a port"},
		{"EndpointInTheClear", "zone: a.example\ndns: {provider: route53, endpoint: \"http://192.0.2.1\"}\n", "dns.endpoint", "https://"},
		{"EndpointOfNoAPI", "dns: {endpoint: \"https://api.example.com\"}\n", "dns.endpoint", "has no meaning with dns.provider embedded"},
		{"NameServerWithoutAddress", "dns: {name_servers: [ns1.desk.example.com]}\n", "dns.name_servers[0]", "ns1.desk.example.com=192.0.2.1"},
		{"NameServerTwice", "dns: {name_servers: [ns.a.example=192.0.2.1, ns.a.example=192.0.2.2]}\n", "dns.name_servers[1]", "a name for each"},
		{"NameServerCalledAsTheZone", "dns: {name_servers: [desk.localhost=192.0.2.1]}\n", "dns.name_servers[0]", "ns1.desk.localhost"},
		{"NameServersOfAnotherProvider", "zone: a.example\ndns: {provider: route53, name_servers: [ns.a.example=192.0.2.1]}\n", "dns.name_servers", "has no meaning with dns.provider route53"},
		{"ShortTTL", "dns: {ttl: 5s}\n", "dns.ttl", "1m to 24h"},
		{"OtherIssuer", "certificates: {issuer: vault}\n", "certificates.issuer", "must be one of local, files, acme, cloudflare-origin"},
		{"OtherAccess", "access: tunnel\n", "access", "must be one of direct, gateway, single"},
		{"SingleWithDCV", "access: single\nblueprints:\n  default:\n    provider: ec2\n    protocol: dcv\n    image: ami-0123456789abcdef0\n    instance_types: [t3.large]\n", "blueprints.default.protocol", "must be novnc with access single"},
		{"SingleWithAProvider", "access: single\nzone: a.example\ndns: {provider: route53}\n", "dns.provider", "not used with access single"},
		{"SingleWithCertificatesOfDesktops", "access: single\nzone: a.example\ncertificates: {issuer: acme}\n", "certificates.issuer", "must be local with access single"},
		{"SingleInTheClear", "access: single\npublic_url: http://lab.example.com\n", "public_url", "must begin with https:// with access single"},
		{"SingleWithDesktopPort", "access: single\ndesktop_port: 443\n", "desktop_port", "not used with access single"},
		{"SingleWithGatewayAddress", "access: single\ngateway_address: 192.0.2.1\n", "gateway_address", "is for access: gateway only"},
		{"GatewayOnEveryAddress", "access: gateway\ndesktop_listen: 0.0.0.0:8443\n", "gateway_address", "must be the IPv4 address under which browsers reach"},
		{"GatewayAddressIsAName", "access: gateway\ngateway_address: gate.example.com\n", "gateway_address", "must be the IPv4 address"},
		{"GatewayAddressWithoutGateway", "gateway_address: 192.0.2.1\n", "gateway_address", "is for access: gateway only"},
		{"ResolverNetworkIsAName", "resolver_networks: [10.0.0.0/8, gate]\n", "resolver_networks[1]", "must be an address or a network"},
		{"OtherProvider", "blueprints:\n  default:\n    provider: gcp\n", "blueprints.default.provider", "must be one of local, ec2"},
		{"EC2WithoutImage", "blueprints:\n  default:\n    provider: ec2\n    protocol: dcv\n    instance_types: [t3.large]\n", "blueprints.default.image", "unless launch_template is"},
		{"EC2WithoutType", "blueprints:\n  default:\n    provider: ec2\n    protocol: dcv\n    image: ami-0123456789abcdef0\n", "blueprints.default.instance_types", "such as [t3.large]"},
		{"BadImage", ec2File("image: ubuntu"), "blueprints.default.image", "an image's id such as ami-"},
		{"BadSubnet", ec2File("subnets: [subnet-0123456789abcdef0, eu-west-1a]"), "blueprints.default.subnets", "\"eu-west-1a\" is not"},
		{"SubnetTwice", ec2File("subnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef0]"), "blueprints.default.subnets", "is a duplicate"},
		{"BadGroup", ec2File("security_groups: [default]"), "blueprints.default.security_groups", "\"default\" is not"},
		{"BadSpot", ec2File("spot: perhaps"), "blueprints.default.spot", "must be true or false"},
		{"BadPublicAddress", ec2File("public_address: elastic"), "blueprints.default.public_address", "must be true or false"},
		{"DiskTooSmall", ec2File("disk_gib: -1"), "blueprints.default.disk_gib", "from 1 to 16384"},
		{"BadRate", "aws: {run_instances: fast}\n", "aws.run_instances", "such as 5+2/s"},
		{"RateOfNothing", "aws: {describe: 0+1/s}\n", "aws.describe", "such as 5+2/s"},
		{"BadRegion", "aws: {region: Ireland}\n", "aws.region", "such as eu-west-1"},
		{"BadEndpoint", "aws: {endpoint: ec2}\n", "aws.endpoint", "must be http:// or https://"},
		{"DCVOnThisMachine", "blueprints:\n  default:\n    protocol: dcv\n", "blueprints.default.protocol", "must be novnc with the provider local"},
		{"NoVNCOnEC2", "blueprints:\n  default:\n    provider: ec2\n    instance_types: [t3.large]\n    image: ami-0123456789abcdef0\n", "blueprints.default.protocol", "must be dcv with the provider ec2"},
		{"NoAgentOnThisMachine", "blueprints:\n  default:\n    agent: none\n", "blueprints.default.agent", "must be greenroom"},
		{"OtherAgent", "blueprints:\n  default:\n    agent: mine\n", "blueprints.default.agent", "must be greenroom or none"},
		{"HooksSomewhere", "blueprints:\n  default:\n    hooks: hooks\n", "blueprints.default.hooks", "must be an absolute path"},
		{"ParticipantAsHost", "blueprints:\n  default:\n    user: host\n", "blueprints.default.user", "and not host or observer"},
		{"OtherDatabase", "database: mysql://u:p@h/d\n", "database", "must begin with postgres:// or postgresql://"},
		{"DatabaseWithoutServer", "database: postgres://\n", "database", "name a server"},
		{"BadBlueprintName", "blueprints:\n  My Lab: {seats: [a]}\n", "blueprints.My Lab.seats", "is not a name for a blueprint"},
		{"OpenToOthersWithoutOrganisers", "listen: 192.0.2.1:80\n", "listen", "api_token_file"},
		{"EveryAddressWithoutPublicURL", "listen: 0.0.0.0:80\napi_token_file: /t\n", "public_url", "must be set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(file(t, c.file), env(), nil)
			bad, ok := err.(*greenroom.InvalidError)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if len(bad.Fields) != 1 || bad.Fields[0].Field != c.field || !strings.Contains(bad.Fields[0].Message, c.says) {
				t.Errorf("faults are %+v, want %s: …%s…", bad.Fields, c.field, c.says)
			}
		})
	}

	t.Run("AllAtOnce", func(t *testing.T) {
		t.Parallel()
		_, err := config.Load(file(t, "zone: '?'\naccess: x\ncolour: red\n"), env("GREENROOM_LISTEN", "?"), nil)
		for _, key := range []string{"zone", "access", "colour", "listen"} {
			if err == nil || !strings.Contains(err.Error(), key+": ") {
				t.Errorf("%v does not name %s", err, key)
			}
		}
	})

	t.Run("FileOfNoUse", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct{ path, says string }{
			"missing":   {filepath.Join(t.TempDir(), "no.yaml"), "cannot be read"},
			"not YAML":  {file(t, "a: [b\n"), "is not valid YAML"},
			"no keys":   {file(t, "just words\n"), "must hold keys and values"},
			"directory": {t.TempDir(), "cannot be read"},
			"too large": {file(t, strings.Repeat("# long\n", 200000)), "larger than 1 MiB"},
		} {
			if _, err := config.Load(c.path, env(), nil); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestFaultyDatabaseIsNotQuoted(t *testing.T) {
	t.Parallel()
	_, err := config.Load("", env("GREENROOM_DATABASE", "postgres//user:hunter2@host/db"), nil)
	if err == nil || !strings.Contains(err.Error(), "database") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v", err)
	}
	for _, good := range []string{"postgres://user:p@host/db", "postgresql:///db?host=/run/postgresql"} {
		if c, err := config.Load("", env("GREENROOM_DATABASE", good), nil); err != nil || c.Database.Reveal() != good {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Database = "postgres://user:hunter2@host/db"
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), c.LogValue().String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("printed: %s", text)
		}
	}
	if !strings.Contains(c.LogValue().String(), "***") {
		t.Error("the log does not show that there is a secret")
	}
}

func TestTokenHashes(t *testing.T) {
	t.Parallel()
	token := greenroom.NewSecret()
	for _, c := range []struct {
		name, file, says string
		want             []string
	}{
		{"HashOrTokenPerLine", "# ours\n" + config.TokenLine(token) + "\n\n" + token + "\n", "", []string{greenroom.HashSecret(token), greenroom.HashSecret(token)}},
		{"ShortTokensAreRefused", "secret\n", "Line 1", nil},
		{"BrokenHashesAreRefused", "\nsha256:abc\n", "Line 2", nil},
		{"NoneIsAFault", "# none\n", "holds no token", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Config{APITokenFile: file(t, c.file)}.TokenHashes()
			if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("err %v, diff %s", err, diff)
			}
		})
	}
}

func TestDocumentationIsCurrent(t *testing.T) {
	t.Parallel()
	const path = "../../docs/config.md"
	if *update {
		if err := os.WriteFile(path, []byte(config.Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if diff := cmp.Diff(config.Markdown(), string(got)); diff != "" || err != nil {
		t.Errorf("run go test ./internal/config -update (%v):\n%s", err, diff)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nblueprints: {default: {rules: {lead: 1m}}}\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Load(file(t, text), env(), nil)
		if err == nil && c.Validate() != nil {
			t.Errorf("accepted and then refused: %q", text)
		}
	})
}

func TestGateway(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"access: gateway\n": "127.0.0.1",
		"access: gateway\ngateway_address: 192.0.2.1\ndesktop_listen: 0.0.0.0:443\n": "192.0.2.1",
		"access: gateway\ndesktop_listen: 192.0.2.7:443\n":                           "192.0.2.7",
	} {
		c, err := config.Load(file(t, text+"resolver_networks: [10.1.2.3/8, 192.0.2.9]\n"), env(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Gateway().String(); got != want {
			t.Errorf("%q: the gateway is %s, want %s", text, got, want)
		}
		if got := fmt.Sprint(c.Resolvers()); got != "[10.0.0.0/8 192.0.2.9/32]" {
			t.Errorf("resolvers are %s", got)
		}
	}
}
