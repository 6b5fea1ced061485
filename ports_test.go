package greenroom_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// defaultPorts are those that greenroom serve listens on unless it is told others.
var defaultPorts = regexp.MustCompile(`\b(8080|8443|8053)\b`)

// namesPorts are tests that write such a port in a URL, a table or a message, and neither listen there nor connect to it.
// e2e/names_test.go and e2e/serverless/desktop_test.go use the port at addresses of their own, as desktops do.
var namesPorts = []string{
	"e2e/names_test.go",
	"e2e/proxies_test.go",
	"e2e/serverless/desktop_test.go",
	"e2e/serverless/life_test.go",
	"e2e/testdata/cli/usage.txtar",
	"internal/access/gateway/attack_test.go",
	"internal/agent/agenttest/browser.go",
	"internal/agent/dcvagent/machine_test.go",
	"internal/agent/dcvagent/sockets_internal_test.go",
	"internal/compute/localcompute/desktop_test.go",
	"internal/config/config_test.go",
	"internal/dcv/dcv_test.go",
	"internal/dcv/resolve_test.go",
	"internal/doctor/aws_test.go",
	"internal/httpapi/client/client_test.go",
	"internal/httpapi/resolver_test.go",
	"internal/httpapi/rig_test.go",
	"internal/httpx/guard_test.go",
	"internal/meetings/meetings_test.go",
	"internal/probe/probe_test.go",
	"internal/web/fake_test.go",
	"internal/web/lobby_test.go",
	"internal/web/web_test.go",
	"language_test.go",
	"ports_test.go",
}

// TestNoDefaultPorts: tests pass beside a greenroom that runs on its default ports. A test listens on port 0, or on an address that
// only it uses.
func TestNoDefaultPorts(t *testing.T) {
	t.Parallel()
	named := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		if d.IsDir() {
			if path != "." && strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"node_modules", "bin", "dist", "test-results"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !isTest(path) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if port := defaultPorts.Find(text); port != nil {
			named[path] = true
			if !slices.Contains(namesPorts, path) {
				t.Errorf("%s has the default port %s: use a free port; if it only names the port, add the file to namesPorts", path, port)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range namesPorts {
		if !named[path] {
			t.Errorf("%s names no default port: remove it from namesPorts", path)
		}
	}
}

// isTest reports whether only tests use a file.
func isTest(path string) bool {
	return strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "internal/testenv/") || strings.HasPrefix(path, "e2e/") ||
		strings.HasSuffix(path, ".go") && strings.HasSuffix(filepath.Base(filepath.Dir(path)), "test")
}
