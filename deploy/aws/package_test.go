package aws_test

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// packages runs what make aws-package runs, with a stand-in for Go that builds programs of so many MiB, and returns those for arm64
// by the names of their programs.
func packages(t *testing.T, mib, config string) (map[string][]byte, string, error) {
	t.Helper()
	tools, dist := t.TempDir(), t.TempDir()
	const builder = "#!/bin/sh\n" + `while [ "$1" != -o ]; do shift; done; echo "$GOARCH $3" > "$2"; head -c "${SIZE}M" /dev/urandom >> "$2"` + "\n"
	if err := os.WriteFile(filepath.Join(tools, "go"), []byte(builder), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "../../scripts/aws_package.sh", config)
	cmd.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"), "DIST="+dist, "SIZE="+mib)
	out, err := cmd.CombinedOutput()
	all := map[string][]byte{}
	for _, name := range []string{"greenroom-lambda", "greenroom-lambda-http"} {
		all[name], _ = os.ReadFile(filepath.Join(dist, name+"-arm64.zip"))
	}
	return all, string(out), err
}

func TestPackage(t *testing.T) {
	t.Parallel()
	config := t.TempDir()
	put := func(name, text string, age time.Duration) {
		path, then := filepath.Join(config, name), time.Now().Add(-age)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	put("greenroom.yaml", "log_level: info\n", time.Hour)
	put("aws-identity.pem", "a certificate\n", time.Minute)
	first, out, err := packages(t, "0", config)
	if err != nil || strings.Count(out, "MiB, sha256 ") != 4 {
		t.Fatalf("%v\n%s", err, out)
	}
	for program, text := range first {
		checkPackage(t, text, map[string]string{
			"bootstrap": "arm64 ./cmd/" + program + "\n", "greenroom.yaml": "log_level: info\n", "aws-identity.pem": "a certificate\n",
		})
	}
	put("greenroom.yaml", "log_level: info\n", 0)
	if again, out, err := packages(t, "0", config); err != nil || !maps.EqualFunc(first, again, bytes.Equal) {
		t.Errorf("the same files made another package: %v\n%s", err, out)
	}
}

// checkPackage compares what a package holds with what it must hold.
func checkPackage(t *testing.T, text []byte, want map[string]string) {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || string(text) != want[f.Name] {
			t.Errorf("%s holds %q, %v", f.Name, text, err)
		}
		if mode := f.Mode().Perm(); mode != 0o644 && (f.Name != "bootstrap" || mode != 0o755) { // Lambda runs as another user than its package's
			t.Errorf("%s has mode %v", f.Name, mode)
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("the package lacks %v", want)
	}
}

func TestPackageRefuses(t *testing.T) {
	t.Parallel()
	nested := t.TempDir()
	if err := os.Mkdir(filepath.Join(nested, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, mib, config, says string }{
		{"TooLarge", "9", "", "more than the 8388608 that a package may have"},
		{"NoDirectory", "0", "/nowhere", "is no directory: CONFIG names one"},
		{"Directories", "0", nested, "put only files beside the program"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, out, err := packages(t, c.mib, c.config); err == nil || !strings.Contains(out, c.says) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
