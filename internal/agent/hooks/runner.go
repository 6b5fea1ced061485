package hooks

import (
	"path/filepath"
	"strings"
)

// runner is the command line that runs a program on Windows, by the ending of its name; nil if no program runs such files.
func runner(path string) []string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".exe":
		return []string{path}
	case ".cmd", ".bat":
		return []string{"cmd.exe", "/d", "/c", path}
	case ".ps1":
		return []string{"powershell.exe", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File", path}
	}
	return nil
}
