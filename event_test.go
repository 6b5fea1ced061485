package greenroom_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"greenroom"
)

// TestEveryEventKindHasAProducer reads the code that writes timelines: each kind is the Kind of an event there, or is handed to
// a function that makes one. Comparing with a kind is not producing it.
func TestEveryEventKindHasAProducer(t *testing.T) {
	t.Parallel()
	constants := kindConstants(t)
	if len(constants) != len(greenroom.EventKinds()) {
		t.Errorf("%d constants and %d kinds", len(constants), len(greenroom.EventKinds()))
	}
	produced := map[string]bool{}
	for _, dir := range []string{"internal/plan", "internal/advance", "internal/meetings"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.KeyValueExpr:
					if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Kind" {
						produced[kindOf(n.Value)] = true
					}
				case *ast.CallExpr:
					if makesEvents(n.Fun) {
						for _, arg := range n.Args {
							produced[kindOf(arg)] = true
						}
					}
				case *ast.AssignStmt: // kind := …, kept for an event
					for _, value := range n.Rhs {
						produced[kindOf(value)] = true
					}
				}
				return true
			})
		}
	}
	for _, kind := range greenroom.EventKinds() {
		name, ok := constants[kind]
		if !ok {
			t.Errorf("%s is in EventKinds and has no constant", kind)
		} else if !produced[name] {
			t.Errorf("nothing produces %s", name)
		}
	}
}

// makesEvents reports whether the function called makes an event of a kind that it is given.
func makesEvents(fun ast.Expr) bool {
	name := ""
	switch f := fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	return name == "event" || name == "entry"
}

// kindOf is the name of the constant of package greenroom that e is, "" if it is none.
func kindOf(e ast.Expr) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if p, ok := s.X.(*ast.Ident); !ok || p.Name != "greenroom" {
		return ""
	}
	return s.Sel.Name
}

// kindConstants are the names of the constants of type EventKind in this package, by value.
func kindConstants(t *testing.T) map[greenroom.EventKind]string {
	t.Helper()
	out := map[greenroom.EventKind]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typ, ok := spec.Type.(*ast.Ident)
			literal, isLiteral := spec.Values[0].(*ast.BasicLit)
			if !ok || !isLiteral || typ.Name != "EventKind" {
				return true
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			out[greenroom.EventKind(value)] = spec.Names[0].Name
			return true
		})
	}
	return out
}

// TestATimelineIsBounded: what people can cause at will is kept a thousand times and counted after that; what greenroom does is
// always kept.
func TestATimelineIsBounded(t *testing.T) {
	t.Parallel()
	var m greenroom.Meeting
	kept := 0
	for range greenroom.MaxRepeats + 50 {
		kept += len(m.Bound([]greenroom.Event{{Kind: greenroom.EventEntered}, {Kind: greenroom.EventPhase}}))
	}
	if want := 2*greenroom.MaxRepeats + 50; kept != want || m.Unlisted != 50 {
		t.Errorf("kept %d of them, want %d; not listed %d, want 50", kept, want, m.Unlisted)
	}
}
