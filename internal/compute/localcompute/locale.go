package localcompute

import (
	"slices"
	"strings"
)

// withUTF8 completes the environment of a desktop's programs: without a locale, as below systemd, they would take text for
// Latin-1 or ASCII. A locale that somebody chose stays; C and POSIX are no choice.
func withUTF8(environ []string) []string {
	chosen := ""
	for _, name := range []string{"LANG", "LC_CTYPE", "LC_ALL"} { // each outweighs the ones before it
		for _, entry := range environ {
			if value, ok := strings.CutPrefix(entry, name+"="); ok && value != "" {
				chosen = value
			}
		}
	}
	if chosen != "" && chosen != "C" && chosen != "POSIX" {
		return environ
	}
	kept := slices.DeleteFunc(environ, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "LANG" || name == "LC_ALL" || name == "LC_CTYPE"
	})
	return append(kept, "LANG=C.UTF-8")
}
