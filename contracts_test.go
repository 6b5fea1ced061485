package greenroom_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// contracts are the packages with implementations beside them, and what else lives there.
var contracts = map[string][]string{
	"store": nil, "compute": nil, "scheduler": nil,
	"dns":   {"batch"}, // gathers calls to any zone
	"certs": {"trust"}, // makes browsers trust the local authority
}

// TestImplementationsAreListed compares the lists of implementations (contracts' package comments, the table in docs/design.md, the
// map in README.md) with the packages that exist, and wants each to run its contract's suite.
func TestImplementationsAreListed(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for contract, others := range contracts {
		at := module + "/internal/" + contract
		var found []string
		for _, p := range all {
			name := path.Base(p.ImportPath)
			if path.Dir(p.ImportPath) != at || isTestHelp(p.ImportPath) || slices.Contains(others, name) {
				continue
			}
			found = append(found, name)
			if suite := at + "/" + contract + "test"; !slices.ContainsFunc(all, func(runs listedPackage) bool {
				tests := slices.Concat(runs.TestImports, runs.XTestImports)
				return slices.Contains(tests, suite) && (runs.ImportPath == p.ImportPath || slices.Contains(tests, p.ImportPath))
			}) {
				t.Errorf("no tests run %s with %s", suite, p.ImportPath)
			}
		}
		if len(found) == 0 {
			t.Errorf("%s has no implementation", at)
		}
		for where, text := range map[string]string{
			"the package comment of internal/" + contract:            comment(t, all, at),
			"the row of internal/" + contract + " in docs/design.md": line(t, "docs/design.md", "| `internal/"+contract+"` |"),
			"the line of internal/" + contract + " in README.md":     line(t, "README.md", "internal/"+contract+" "),
		} {
			listed := words.FindAllString(text, -1)
			for _, name := range found {
				if !slices.Contains(listed, name) {
					t.Errorf("%s does not name %s", where, name)
				}
			}
			for _, name := range listed {
				if kind := strings.HasSuffix(name, contract) && name != contract && name != "lib"+contract; kind && !slices.Contains(found, name) {
					t.Errorf("%s names %s, which does not exist", where, name)
				}
			}
		}
	}
}

var words = regexp.MustCompile(`[a-z0-9]+`)

// comment is the package comment of the package at.
func comment(t *testing.T, all []listedPackage, at string) string {
	t.Helper()
	i := slices.IndexFunc(all, func(p listedPackage) bool { return p.ImportPath == at })
	if i < 0 {
		t.Fatalf("there is no package %s", at)
	}
	for _, f := range all[i].GoFiles {
		text, err := os.ReadFile(path.Join(all[i].Dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if before, _, found := strings.Cut(string(text), "\npackage "); found && strings.HasPrefix(before, "// Package ") {
			return before
		}
	}
	t.Errorf("%s has no package comment", at)
	return ""
}

// line is the first line of file that begins with prefix.
func line(t *testing.T, file, prefix string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	t.Errorf("%s has no line that begins with %q", file, prefix)
	return ""
}
