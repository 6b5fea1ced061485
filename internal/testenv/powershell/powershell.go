// Package powershell parses PowerShell scripts in tests and looks for what that language's own analyser warns of: aliases,
// forgotten faults, variables that are never set or never used. The parser is a Python package: scripts/setup.sh puts it into
// .cache/powershell unless the system's Python has it.
package powershell

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed lint.py
var program string

// Lint returns what is wrong with the scripts, each finding with file and line.
func Lint(paths ...string) ([]string, error) {
	python, err := interpreter()
	if err != nil {
		return nil, err
	}
	out, err := exec.Command(python, append([]string{"-c", program}, paths...)...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("parse PowerShell: %w: %s", err, failed.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("parse PowerShell: %w", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' }), nil
}

func interpreter() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	own := filepath.Join(filepath.Dir(here), "..", "..", "..", ".cache", "powershell", "bin", "python3")
	if _, err := os.Stat(own); err == nil {
		return own, nil
	}
	if path, err := exec.LookPath("python3"); err == nil && exec.Command(path, "-c", "import tree_sitter, tree_sitter_powershell").Run() == nil {
		return path, nil
	}
	return "", errors.New("this test needs a parser of PowerShell, which is not installed: scripts/setup.sh test installs it")
}
