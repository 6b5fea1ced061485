// Package images_test checks the image recipes as far as that is possible without a cloud: templates are parsed and their
// files looked for, shell scripts go through shellcheck, PowerShell through a parser and a look at its manners.
package images_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"greenroom/internal/testenv/powershell"
)

// files lists the files below this directory that match.
func files(t *testing.T, match func(path string, head []byte) bool) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && match(path, text[:min(len(text), 64)]) {
			out = append(out, path)
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("found %d files: %v", len(out), err)
	}
	return out
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	for _, path := range files(t, func(path string, _ []byte) bool { return strings.HasSuffix(path, ".pkr.hcl") }) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			file, diags := hclparse.NewParser().ParseHCLFile(path)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			body := file.Body.(*hclsyntax.Body)
			declared, sources := map[string]bool{}, map[string]bool{}
			for _, b := range body.Blocks {
				switch b.Type {
				case "variable":
					declared["var."+b.Labels[0]] = true
				case "locals":
					for name := range b.Body.Attributes {
						declared["local."+name] = true
					}
				case "source":
					sources["source."+strings.Join(b.Labels, ".")] = true
				}
			}
			for _, name := range used(body) {
				if !declared[name] && !strings.HasPrefix(name, "source.") {
					t.Errorf("%s is used and not declared", name)
				}
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for source := range sources {
				if !bytes.Contains(text, []byte(`"`+source+`"`)) {
					t.Errorf("%s is built by nothing", source)
				}
			}
			for _, name := range scripts(body) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), name)); err != nil {
					t.Error(err)
				}
			}
			if !bytes.Contains(text, []byte(`http_tokens                 = "required"`)) {
				t.Error("the machine's metadata answers without a token")
			}
		})
	}
}

// used lists the variables and locals that a template refers to.
func used(body *hclsyntax.Body) []string {
	var out []string
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		if e, ok := n.(*hclsyntax.ScopeTraversalExpr); ok && len(e.Traversal) > 1 {
			if attr, ok := e.Traversal[1].(hcl.TraverseAttr); ok {
				out = append(out, e.Traversal.RootName()+"."+attr.Name)
			}
		}
		return nil
	})
	return out
}

// scripts lists the files of the recipe that a template names in plain words.
func scripts(body *hclsyntax.Body) []string {
	var out []string
	for _, b := range body.Blocks {
		for name, a := range b.Body.Attributes {
			if v, diags := a.Expr.Value(nil); !diags.HasErrors() && slices.Contains([]string{"script", "user_data_file"}, name) {
				out = append(out, v.AsString())
			}
		}
		out = append(out, scripts(b.Body)...)
	}
	return out
}

func TestShellScripts(t *testing.T) {
	t.Parallel()
	for _, path := range files(t, func(_ string, head []byte) bool { return bytes.HasPrefix(head, []byte("#!/")) }) {
		if out, err := exec.Command("shellcheck", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v (scripts/setup.sh test installs shellcheck)\n%s", path, err, out)
		}
		if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be run", path)
		}
	}
}

// TestKiosk runs the example hook with a stand-in for the browser, as a local desktop's agent would.
func TestKiosk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	browser := "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + said + ".new && mv " + said + ".new " + said + "\n"
	if err := os.WriteFile(filepath.Join(dir, "google-chrome"), []byte(browser), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(room string) {
		t.Helper()
		cmd := exec.Command("hooks/linux/warmup.d/20-kiosk")
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "GREENROOM_VIDEO_URL=" + room}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	run("")
	const room = "https://meet.example.com/k3v9?a=1&b=$(id)"
	run(room)
	deadline := time.Now().Add(time.Minute)
	for {
		text, err := os.ReadFile(said)
		if err == nil {
			if lines := strings.Split(strings.TrimSpace(string(text)), "\n"); !slices.Contains(lines, "--kiosk") || lines[len(lines)-1] != room {
				t.Errorf("the browser was started with %q", lines)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the browser was not started")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestPowerShellScripts parses them, and finds those that go on after a fault.
func TestPowerShellScripts(t *testing.T) {
	t.Parallel()
	paths := files(t, func(path string, _ []byte) bool { return strings.HasSuffix(path, ".ps1") })
	found, err := powershell.Lint(paths...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("$ErrorActionPreference = 'Stop'")) {
			t.Errorf("%s goes on after a fault", path)
		}
		if bytes.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
			t.Errorf("%s is not plain ASCII, which old PowerShell would misread", path)
		}
	}
}
