package greenroom_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greenroom"
)

// Budgets: a larger root stops being readable in one sitting; a larger file is a question in review.
const (
	rootBudget = 1520
	fileBudget = 800
)

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && len(p.Doc) < 30 {
			t.Errorf("%s has no package sentence", p.ImportPath)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	root := 0
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(text, []byte("\n"))
			if lines > fileBudget {
				t.Errorf("%s/%s has %d lines, more than %d", p.ImportPath, f, lines, fileBudget)
			}
			if p.ImportPath == module {
				root += lines
			}
		}
	}
	if root > rootBudget {
		t.Errorf("the root package has %d lines, more than %d", root, rootBudget)
	}
}

func TestNoReplaceInGoMod(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("\nreplace ")) {
		t.Error("go.mod replaces a module: users of the module would not get the same code")
	}
}

// TestStatesDocument keeps the diagram in docs/states.md equal to the phase table, and has it explain every state. GREENROOM_UPDATE=1
// writes the diagram.
func TestStatesDocument(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Phases of a desktop, states of a meeting\n\nThe diagram is generated from the table in `phase.go`; a test compares the two.\n\n```mermaid\nstateDiagram-v2\n  [*] --> planned\n")
	for _, p := range greenroom.Phases() {
		for _, next := range p.Moves() {
			b.WriteString("  " + string(p) + " --> " + string(next) + "\n")
		}
	}
	const end = "  gone --> [*]\n```\n"
	b.WriteString(end)
	const file = "docs/states.md"
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, prose, _ := strings.Cut(string(got), end)
	want := b.String() + prose
	if os.Getenv("GREENROOM_UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		got = []byte(want)
	}
	if string(got) != want || prose == "" {
		t.Errorf("%s is stale; GREENROOM_UPDATE=1 go test . writes it", file)
	}
	for _, s := range greenroom.States() {
		if !strings.Contains(prose, "| `"+string(s)+"` |") {
			t.Errorf("%s does not explain the state %s", file, s)
		}
	}
}
