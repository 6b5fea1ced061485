package serverless

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestSizes bounds the programs: Lambda reads a function's whole program before its first event. They grow to a multiple when
// something keeps the linker from leaving out methods that nobody calls, as a template or reflect's MethodByName do; docs/adr/0020
// says how to find it.
func TestSizes(t *testing.T) {
	t.Parallel()
	server := filepath.Join(t.TempDir(), "greenroom")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", server, "greenroom/cmd/greenroom").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	const mb = 1_000_000
	for _, c := range []struct {
		what, file string
		most       int64
	}{
		{"wake, instance, change and sweep", program, 20 * mb},
		{"http", httpProgram, 60 * mb},
		{"greenroom", server, 75 * mb},
	} {
		info, err := os.Stat(c.file)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MB", c.what, float64(info.Size())/mb)
		if info.Size() > c.most {
			t.Errorf("the program of %s has %d bytes, and may have %d", c.what, info.Size(), c.most)
		}
	}
}
