package greenroom_test

import (
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/config"
)

// private are phrases that nobody would search for, and what to say instead.
var private = []struct {
	phrase *regexp.Regexp
	say    string
}{
	{regexp.MustCompile(`(?i)\b(went|goes|go|going) wrong\b`), "failed, or the error"},
	{regexp.MustCompile(`(?i)\blast word\b`), "last report"},
	{regexp.MustCompile(`(?i)\bstands? (twice|once)\b`), "duplicate key, or at most once"},
	{regexp.MustCompile(`(?i)\bsecond bell\b`), "fallback job"},
	{regexp.MustCompile(`(?i)\bgreatest age\b`), "maximum age"},
	{regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`), "fix or correct"},
	{regexp.MustCompile(`(?i)\btak(e|es|en|ing) hold\b|\btook hold\b`), "take effect, or happen"},
	{regexp.MustCompile(`(?i)\b[a-z]+ (is|are) none\b`), "is not one, or means none"},
	{regexp.MustCompile(`(?i)\bway out\b`), "outbound network"},
}

// existing is the one use of "is none" that is everybody's.
var existing = regexp.MustCompile(`(?i)^(there|which|that there) (is|are) none$`)

// unwritten are places that are not written here, or that tell of their own time.
var unwritten = []string{"node_modules", "bin", "dist", "test-results", "docs/adr", "CHANGELOG.md", "package-lock.json"}

// texts of these kinds are read whole.
var prose = []string{".md", ".html", ".yaml", ".yml"}

// TestPlainWords keeps texts that people read (documents, pages, and strings and comments of the product) in words that they would search for.
func TestPlainWords(t *testing.T) {
	t.Parallel()
	read := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains(unwritten, path) || slices.Contains(unwritten, d.Name())) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case d.IsDir():
			return nil
		case slices.Contains(prose, filepath.Ext(path)):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i, line := range strings.Split(string(text), "\n") {
				plain(t, path, i+1, line)
			}
		case filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go"):
			plainGo(t, path)
		default:
			return nil
		}
		read++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 300 {
		t.Errorf("only %d files were read", read)
	}
}

func plainGo(t *testing.T, path string) {
	t.Helper()
	fset, file := parsed(t, path)
	for _, group := range file.Comments {
		plain(t, path, fset.Position(group.Pos()).Line, group.Text())
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, err := strconv.Unquote(l.Value)
			if err != nil {
				t.Fatal(err)
			}
			plain(t, path, fset.Position(l.Pos()).Line, text)
		}
		return true
	})
}

func plain(t *testing.T, path string, line int, text string) {
	t.Helper()
	for _, p := range private {
		for _, found := range p.phrase.FindAllString(text, -1) {
			if !existing.MatchString(found) {
				t.Errorf("%s:%d says %q; say it in words that an operator would search for: %s", path, line, found, p.say)
			}
		}
	}
}

// TestPrivateWordsAreFound: the patterns find what they are for, and leave plain sentences alone.
func TestPrivateWordsAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"the last thing that went wrong": true, "empty is none": true, "the greatest age": true, "Mend the file": true, "a key stands twice": true,
		"ErrNotFound if there is none": false, "which is none": false, "recommend it": false, "amended": false, "the wrong key": false, "": false,
	} {
		found := false
		for _, p := range private {
			for _, f := range p.phrase.FindAllString(text, -1) {
				found = found || !existing.MatchString(f)
			}
		}
		if found != want {
			t.Errorf("%q: found %t, want %t", text, found, want)
		}
	}
}

// portsOfOthers are the files that may write 8443: the list of ports that Cloudflare passes on.
var portsOfOthers = []string{"provider.go", "internal/doctor/names.go"}

// TestOneDesktopPort: greenroom.DesktopPort is the one place of the port that desktops answer on.
func TestOneDesktopPort(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			path := filepath.Join(p.Dir, f)
			if slices.ContainsFunc(portsOfOthers, func(o string) bool { return strings.HasSuffix(filepath.ToSlash(path), "/"+o) }) {
				continue
			}
			fset, file := parsed(t, path)
			ast.Inspect(file, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.INT && l.Value == "8443" {
					t.Errorf("%s: use greenroom.DesktopPort", fset.Position(l.Pos()))
				}
				return true
			})
		}
	}
}

// choices are the values of settings that have a constant: greenroom.ProviderLocal, config.AccessGateway and the like.
var choices = []string{
	config.AccessDirect, config.AccessGateway, config.IssuerLocal, config.IssuerFiles, config.IssuerACME, config.IssuerCloudflareOrigin,
	config.DNSEmbedded, config.DNSRFC2136, config.DNSRoute53, config.DNSCloudflare,
	string(greenroom.ProviderLocal), string(greenroom.ProviderEC2), string(greenroom.NoVNC), string(greenroom.DCV),
}

// TestChoicesAreConstants: a setting is compared with its constant, so that a misspelt value does not build.
func TestChoicesAreConstants(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			if isTestHelp(p.ImportPath) {
				continue
			}
			fset, file := parsed(t, filepath.Join(p.Dir, f))
			ast.Inspect(file, func(n ast.Node) bool {
				var compared []ast.Expr
				switch n := n.(type) {
				case *ast.BinaryExpr:
					if n.Op == token.EQL || n.Op == token.NEQ {
						compared = []ast.Expr{n.X, n.Y}
					}
				case *ast.CaseClause:
					compared = n.List
				}
				for _, e := range compared {
					if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING && slices.Contains(choices, strings.Trim(l.Value, `"`)) {
						t.Errorf("%s: compare with the constant of %s", fset.Position(l.Pos()), l.Value)
					}
				}
				return true
			})
		}
	}
}
