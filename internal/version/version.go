// Package version tells which build of greenroom this is, from what the Go toolchain wrote into it.
package version

import (
	"runtime/debug"
	"strings"
)

// Info is what is known of the build; empty fields are not known.
type Info struct {
	Version  string `json:"version"`  // v0.1.0, or devel
	Commit   string `json:"commit"`   // the revision it was built from
	Time     string `json:"time"`     // of that revision, RFC 3339
	Modified bool   `json:"modified"` // the tree had changes beside it
	Go       string `json:"go"`
}

// Get reads the build's own information.
func Get() Info {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return Info{Version: "devel"}
	}
	i := Info{Version: strings.Trim(b.Main.Version, "()"), Go: b.GoVersion}
	if i.Version == "" {
		i.Version = "devel"
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value
		case "vcs.time":
			i.Time = s.Value
		case "vcs.modified":
			i.Modified = s.Value == "true"
		}
	}
	return i
}

// String is the version in one line.
func (i Info) String() string {
	s := i.Version
	if len(i.Commit) >= 12 && !strings.Contains(s, i.Commit[:12]) {
		s += " (" + i.Commit[:12]
		if i.Modified {
			s += ", modified"
		}
		s += ")"
	}
	return s
}
