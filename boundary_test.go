package greenroom_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "greenroom"

// listedPackage is what `go list -json` says of a package.
type listedPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	Doc                                string
	GoFiles                            []string
	Dir                                string
}

// logkeys may be imported by whoever logs, beside what boundaries says.
const logkeys = module + "/internal/logkey"

// boundaries says who may not import what, and why. from and what are import paths; a final slash or dots
// mean everything below. except names what is allowed all the same.
var boundaries = []struct {
	from, what string
	except     []string
	why        string
}{
	{module, "context", nil, "nouns have no I/O, and a context is the mark of I/O"},
	{module, module + "/", nil, "everything points at the nouns; they point at nothing"},
	{module, "x.y", nil, "the nouns need the standard library only"},
	{module, logkeys, nil, "the nouns do not log"},
	{module + "/internal/plan", logkeys, nil, "a decision does not log"},
	{module + "/internal/plan", module + "/", nil, "a decision reads a snapshot and a time, nothing else"},
	{module + "/internal/plan", "context", nil, "a decision does no I/O"},
	{module + "/internal/plan", "x.y", nil, "a decision needs the standard library only"},
	{module + "/internal/advance", module + "/internal/store/", nil, "the core knows contracts, not implementations"},
	{module + "/internal/advance", module + "/internal/compute/", nil, "the core knows contracts, not implementations"},
	{module + "/internal/advance", module + "/internal/dns/", nil, "the core knows contracts, not implementations"},
	{module + "/internal/advance", "net/http", nil, "the core runs in a server, in a function and in a test alike"},
	{module + "/internal/meetings", module + "/internal/store/", nil, "use cases know contracts, not implementations"},
	{module + "/internal/meetings", module + "/internal/certs/", nil, "use cases know contracts, not implementations"},
	{module + "/internal/meetings", module + "/internal/advance", nil, "use cases only ask for an Advance"},
	{module + "/internal/store", module + "/", []string{module + "/internal/backoff"}, "a contract knows the nouns only"},
	{module + "/internal/compute", module + "/", nil, "a contract knows the nouns only"},
	{module + "/internal/dns", module + "/", nil, "a contract knows the nouns only"},
	{module + "/internal/certs", module + "/", nil, "a contract knows the nouns only"},
	{module + "/internal/store/", module + "/", []string{module + "/internal/store", module + "/internal/backoff"}, "implementations are ignorant of each other and of the rest"},
	{module + "/internal/compute/", module + "/", []string{module + "/internal/compute", module + "/internal/agent/agentapi", module + "/internal/procs", module + "/internal/backoff"}, "implementations are ignorant of each other and of the rest"},
	{module + "/internal/access/connlimit", module + "/", nil, "what bounds a desktop's listener as well knows nothing"},
	{module + "/internal/dns/", module + "/", []string{module + "/internal/dns", module + "/internal/access/connlimit", module + "/internal/cloudflare", module + "/internal/backoff"}, "implementations are ignorant of each other and of the rest"},
	{module + "/internal/secrets", module + "/", nil, "it knows the nouns only"},
	{module + "/internal/certs/", module + "/", []string{module + "/internal/certs", module + "/internal/cloudflare"}, "implementations are ignorant of each other and of the rest"},
	{module + "/internal/cloudflare", module + "/", []string{module + "/internal/version"}, "calls of an API know nothing of the product but its name"},
	{module + "/internal/cloudflare", "x.y", nil, "a few calls need the standard library only, and a function's program stays small"},
	{module + "/internal/agent/novncagent", module + "/", []string{module + "/internal/agent/agentapi", module + "/internal/dcv", module + "/internal/procs", module + "/internal/agent/link", module + "/internal/agent/hooks", module + "/internal/agent/novncagent/static", module + "/internal/sse", module + "/internal/access/connlimit", module + "/internal/backoff"}, "the desktop is hostile ground: what runs there stays small"},
	{module + "/internal/agent/novncagent/static", module + "/", nil, "a page that greenroom serves, too, knows nothing of the agent"},
	{module + "/internal/agent/link", module + "/", []string{module + "/internal/agent/agentapi", module + "/internal/backoff"}, "what both agents share is for every system, and small"},
	{module + "/internal/agent/hooks", module + "/", []string{module + "/internal/agent/agentapi", module + "/internal/agent/link", module + "/internal/backoff"}, "what both agents share is for every system, and small"},
	{module + "/internal/agent/dcvagent", module + "/", []string{module + "/internal/agent/agentapi", module + "/internal/agent/link", module + "/internal/agent/hooks", module + "/internal/backoff"}, "the desktop is hostile ground: what runs there stays small"},
	{module + "/internal/agent/dcvagent", "x.y", []string{"golang.org/x/sys/", "golang.org/x/sync/errgroup"}, "it is one small file on other people's machines"},
	{module + "/cmd/greenroom-agent", module + "/", []string{module + "/internal/agent/dcvagent", module + "/internal/version"}, "the agent's program carries nothing of the control plane"},
	{module + "/internal/awsidentity", module + "/", nil, "a signature knows nothing of the product"},
	{module + "/internal/agent/agentapi", module + "/", nil, "the wire format knows nothing"},
	{module + "/internal/dcv", module + "/", nil, "a protocol knows the nouns only"},
	{module + "/internal/backoff", module, nil, "arithmetic and a timer: whoever tries again may import it"},
	{module + "/internal/backoff", module + "/", nil, "arithmetic and a timer: whoever tries again may import it"},
	{module + "/internal/backoff", "x.y", nil, "arithmetic and a timer: the agents carry it, too"},
	{module + "/internal/sse", module, nil, "an encoding knows nothing of the product"},
	{module + "/internal/sse", module + "/", nil, "an encoding knows nothing of the product"},
	{module + "/internal/sse", "x.y", nil, "an encoding that the agents carry, too"},
	{module + "/internal/scheduler", module + "/", nil, "a contract knows the nouns only"},
	{module + "/internal/scheduler/awsscheduler", module + "/", []string{module + "/internal/scheduler", module + "/internal/backoff"}, "implementations are ignorant of each other and of the rest"},
	{module + "/internal/scheduler/sqlscheduler", module + "/", []string{module + "/internal/scheduler", module + "/internal/store", module + "/internal/backoff"}, "implementations are ignorant of each other and of the rest"},
	{module + "/internal/logkey", module + "/", nil, "a name of a key knows nothing"},
	{module + "/internal/caller", module + "/", nil, "who asks knows nothing of what is asked"},
	{module + "/internal/logsink", module + "/", nil, "where lines go knows nothing of what they say"},
	{module + "/internal/observe", "x.y", nil, "what sees every decision and call is in functions, too: libraries that count and send come by hooks"},
	{module + "/internal/app/lambda", module + "/internal/tracing", nil, "a function starts in milliseconds: it carries no exporter"},
	{module + "/internal/app/lambda/", module + "/internal/tracing", nil, "a function starts in milliseconds: it carries no exporter"},
	{module + "/internal/app/lambda", module + "/internal/metrics", nil, "nobody scrapes a function"},
	{module + "/internal/app/lambda/", module + "/internal/metrics", nil, "nobody scrapes a function"},
	{module + "/internal/app/lambda", module + "/internal/app/server", nil, "a function starts in milliseconds: it carries no database, no engine and no desktops"},
	{module + "/internal/app/lambda/", module + "/internal/app/server", nil, "a function starts in milliseconds: it carries no database, no engine and no desktops"},
	{module + "/internal/app/lambda", module + "/internal/store/sqlstore", nil, "a function starts in milliseconds: it carries no database, no engine and no desktops"},
	{module + "/internal/app/lambda/", module + "/internal/store/sqlstore", nil, "a function starts in milliseconds: it carries no database, no engine and no desktops"},
	{module + "/internal/app/lambda", module + "/internal/scheduler/sqlscheduler", nil, "a function starts in milliseconds: it carries no database, no engine and no desktops"},
	{module + "/internal/app/lambda/", module + "/internal/scheduler/sqlscheduler", nil, "a function starts in milliseconds: it carries no database, no engine and no desktops"},
	{module + "/internal/app/lambda", module + "/internal/compute/localcompute", nil, "a function starts in milliseconds: it carries no database, no engine and no desktops"},
	{module + "/internal/app/lambda/", module + "/internal/compute/localcompute", nil, "a function starts in milliseconds: it carries no database, no engine and no desktops"},
	{module + "/internal/app/lambda", module + "/internal/httpapi", nil, "templates keep the linker from leaving out what is not used: pages are a program of their own"},
	{module + "/internal/app/lambda", module + "/internal/web", nil, "templates keep the linker from leaving out what is not used: pages are a program of their own"},
	{module + "/internal/httpapi", module + "/internal/store", nil, "permission lives in meetings alone"},
	{module + "/internal/httpapi", module + "/internal/advance", nil, "permission lives in meetings alone"},
	{module + "/internal/httpapi", module + "/internal/compute", nil, "permission lives in meetings alone"},
	{module + "/internal/access/", module + "/internal/store", nil, "permission lives in meetings alone"},
	{module + "/internal/access/", module + "/internal/advance", nil, "permission lives in meetings alone"},
	{module + "/internal/access/", module + "/internal/compute", nil, "permission lives in meetings alone"},
	{module + "/internal/web", module + "/internal/store", nil, "permission lives in meetings alone"},
	{module + "/internal/web", module + "/internal/advance", nil, "permission lives in meetings alone"},
	{module + "/internal/web", module + "/internal/compute", nil, "permission lives in meetings alone"},
}

// onlyHere says what may be imported in the named places alone.
var onlyHere = []struct {
	what, why string
	places    []string
}{
	{module + "/internal/store/sqlstore", "one composition root", []string{module + "/internal/app/server"}},
	{module + "/internal/store/dynamostore", "one composition root", []string{module + "/internal/app/lambda", module + "/internal/app/server"}},
	{module + "/internal/store/memstore", "the store in memory is for tests and the simulation", []string{module + "/internal/sim"}},
	{module + "/internal/compute/localcompute", "one composition root", []string{module + "/internal/app/server"}},
	{module + "/internal/compute/ec2compute", "one composition root", []string{module + "/internal/app/components", module + "/internal/doctor"}},
	{module + "/internal/dns/embeddeddns", "one composition root", []string{module + "/internal/app/server"}},
	{module + "/internal/dns/rfc2136dns", "one composition root", []string{module + "/internal/app/components"}},
	{module + "/internal/dns/route53dns", "one composition root", []string{module + "/internal/app/components"}},
	{module + "/internal/dns/cloudflaredns", "one composition root", []string{module + "/internal/app/components"}},
	{module + "/internal/dns/batch", "one composition root", []string{module + "/internal/app/components"}},
	{module + "/internal/certs/localca", "one composition root", []string{module + "/internal/app/components", module + "/internal/app/lambda", module + "/internal/app/server"}},
	{module + "/internal/certs/filecerts", "one composition root", []string{module + "/internal/app/components", module + "/internal/app/server"}},
	{module + "/internal/certs/acmecerts", "one composition root", []string{module + "/internal/app/components", module + "/internal/app/lambda", module + "/internal/app/server"}},
	{module + "/internal/certs/cloudflareorigin", "one composition root", []string{module + "/internal/app/components", module + "/internal/app/server"}},
	{module + "/internal/app/server", "only commands start the program", []string{module + "/cmd/"}},
	{module + "/internal/app/lambda", "only the functions' commands start it", []string{module + "/cmd/greenroom-lambda", module + "/cmd/greenroom-lambda-http"}},
	{module + "/internal/app/components", "one composition root for a server, one for functions", []string{module + "/internal/app/server", module + "/internal/app/lambda"}},
	{module + "/internal/cloudflare", "Cloudflare's API is two adapters' business", []string{module + "/internal/dns/cloudflaredns", module + "/internal/certs/cloudflareorigin"}},
	{"github.com/aws/aws-sdk-go-v2/service/dynamodb", "the database is one package's business", []string{module + "/internal/store/dynamostore"}},
	{"github.com/aws/aws-sdk-go-v2/service/scheduler", "the clock is one package's business", []string{module + "/internal/scheduler/awsscheduler"}},
	{"github.com/aws/aws-sdk-go-v2/service/iam", "only who looks for faults asks who may do what", []string{module + "/internal/doctor", module + "/internal/testenv/"}},
	{"github.com/aws/aws-sdk-go-v2/service/lambda", "a function does not know that it is one", []string{module + "/internal/doctor"}},
	{"github.com/smallstep/pkcs7", "what AWS signs is one package's business", []string{module + "/internal/awsidentity", module + "/internal/awsidentity/"}},
	{"go.opentelemetry.io/otel", "traces are one package's business", []string{module + "/internal/tracing"}},
	{module + "/internal/tracing", "one composition root", []string{module + "/internal/app/server"}},
	{module + "/internal/metrics", "one composition root", []string{module + "/internal/app/server"}},
	{"github.com/caddyserver/certmagic", "ACME is one package's business", []string{module + "/internal/certs/acmecerts"}},
	{"github.com/letsencrypt/pebble/v2", "it helps tests", []string{module + "/internal/testenv/pebbletest"}},
	{"github.com/aws/aws-sdk-go-v2", "AWS is some packages' business, and the rest builds and runs without it", []string{
		module + "/internal/secrets/awssecrets", module + "/internal/dns/route53dns", module + "/internal/store/dynamostore", module + "/internal/scheduler/awsscheduler",
		module + "/internal/compute/ec2compute", module + "/internal/doctor", module + "/internal/testenv/", module + "/internal/app/components",
	}},
	{"modernc.org/sqlite", "the database is one package's business", []string{module + "/internal/store/sqlstore"}},
	{"github.com/jackc/pgx/v5", "the database is one package's business", []string{module + "/internal/store/sqlstore", module + "/internal/notify/pgnotify", module + "/internal/testenv/pgtest"}},
}

func TestBoundaries(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for _, b := range boundaries {
				if covers(b.from, p.ImportPath) && covers(b.what, imported) && !listed(b.except, imported) && imported != p.ImportPath && (imported != logkeys || b.what == logkeys) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, b.why)
				}
			}
			for _, o := range onlyHere {
				if (imported == o.what || strings.HasPrefix(imported, o.what+"/")) && !listed(o.places, p.ImportPath) && !strings.HasPrefix(p.ImportPath, o.what) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, o.why)
				}
			}
			if isTestHelp(imported) && !isTestHelp(p.ImportPath) {
				t.Errorf("%s imports %s: what helps tests stays out of the product", p.ImportPath, imported)
			}
		}
	}
}

// TestBoundariesAreOfToday: a row about a package that does not exist, or that nobody imports, bounds nothing.
func TestBoundariesAreOfToday(t *testing.T) {
	t.Parallel()
	all := packages(t)
	known := func(pattern string) bool {
		return slices.ContainsFunc(all, func(p listedPackage) bool {
			meant := func(path string) bool {
				return path == pattern || listed([]string{pattern}, path) || strings.HasPrefix(path, pattern+"/")
			}
			own := strings.HasPrefix(pattern, module)
			return own && meant(p.ImportPath) || !own && slices.ContainsFunc(slices.Concat(p.Imports, p.TestImports, p.XTestImports), meant)
		})
	}
	for _, b := range boundaries {
		for _, pattern := range slices.Concat([]string{b.from, b.what}, b.except) {
			if pattern != "x.y" && !known(pattern) {
				t.Errorf("the row of %s and %s names %s, which does not exist", b.from, b.what, pattern)
			}
		}
		for _, except := range b.except {
			if !strings.HasPrefix(except, module) {
				continue // only another system may need it
			}
			if !slices.ContainsFunc(all, func(p listedPackage) bool {
				return covers(b.from, p.ImportPath) && slices.ContainsFunc(p.Imports, func(i string) bool { return covers(b.what, i) && listed([]string{except}, i) })
			}) {
				t.Errorf("the row of %s and %s excepts %s, which nobody there imports", b.from, b.what, except)
			}
		}
	}
	for _, o := range onlyHere {
		for _, pattern := range append([]string{o.what}, o.places...) {
			if !known(pattern) {
				t.Errorf("the row of %s names %s, which does not exist", o.what, pattern)
			}
		}
		for _, place := range o.places {
			if !slices.ContainsFunc(all, func(p listedPackage) bool {
				return listed([]string{place}, p.ImportPath) && slices.ContainsFunc(p.Imports, func(i string) bool { return i == o.what || strings.HasPrefix(i, o.what+"/") })
			}) {
				t.Errorf("%s may be imported in %s, which does not do so", o.what, place)
			}
		}
	}
}

// covers reports whether pattern means path: itself, all below when it ends in a slash, or, as "x.y", any
// path of another module.
func covers(pattern, path string) bool {
	if pattern == "x.y" {
		return strings.Contains(strings.SplitN(path, "/", 2)[0], ".")
	}
	if below, ok := strings.CutSuffix(pattern, "/"); ok {
		return strings.HasPrefix(path, below+"/") && !isTestHelp(path)
	}
	return path == pattern
}

func listed(patterns []string, path string) bool {
	for _, p := range patterns {
		if p == path || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// isTestHelp reports whether a package exists for tests: its name ends in test, or it is testenv.
func isTestHelp(path string) bool {
	return strings.HasPrefix(path, module+"/") && (strings.HasSuffix(path, "test") || strings.Contains(path+"/", "/testenv/"))
}

func packages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,Doc,GoFiles,Dir", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listedPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages were listed", len(all))
	}
	return all
}
