package powershell_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greenroom/internal/testenv/powershell"
)

func TestLint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, want string }{
		"good":                {"$ErrorActionPreference = 'Stop'\nfunction Set-It($a) { Set-Content x -Value $a }\nSet-It \"$env:HOME\"\n", ""},
		"user data":           {"<powershell>\nGet-Item x\n</powershell>\n", ""},
		"an open block":       {"if ($true) {\n  Get-Item x\n", ":2: } is missing"},
		"an open quote":       {"Get-Item x\nWrite-Output \"a\n", ":2: not PowerShell"},
		"a stray bracket":     {"Get-Item )\n", ":1: not PowerShell"},
		"an alias":            {"Get-Item x\niwr x\n", ":2: iwr is an alias"},
		"code from a text":    {"Invoke-Expression 'x'\n", ":1: Invoke-Expression"},
		"a forgotten fault":   {"try { Get-Item x } catch { }\n", ":1: a fault is caught and forgotten"},
		"a misspelt variable": {"$name = 'a'\nGet-Item $name $nane\n", ":2: $nane is used and never set"},
		"an idle variable":    {"$name = 'a'\n", ":1: $name is set and never used"},
		"null on the right":   {"if ($env:A -eq $null) { Get-Item x }\n", ":1: $null belongs on the left"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "script.ps1")
			if err := os.WriteFile(path, []byte(c.script), 0o600); err != nil {
				t.Fatal(err)
			}
			found, err := powershell.Lint(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(found, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("found %q, wanted %q", got, c.want)
			}
		})
	}
}
