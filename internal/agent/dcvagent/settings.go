package dcvagent

import (
	"path/filepath"
	"regexp"

	"greenroom/internal/agent/agentapi"
)

// setting is one of DCV's parameters: in dcv.conf on Linux, in the registry on Windows.
type setting struct {
	section, key string
	value        any  // string, bool or int
	live         bool // a running server takes it up
}

// Names of the files that go with the configuration.
const (
	authorityFile   = "greenroom-ca.pem"
	permissionsFile = "greenroom.perm"
)

const (
	console    = "session-management/automatic-console-session"
	maxClients = 8 // of the participant's and the visitors' together
)

// settings are DCV's parameters for a desktop that belongs to one meeting.
func (a *agent) settings(e agentapi.Enrolled) []setting {
	s := []setting{
		{"security", "auth-token-verifier", e.VerifyURL, false},
		{"security", "no-tls-strict", false, false},
		{"security", "os-auto-lock", false, false},
		{"security", "allowed-http-host-regex", "^" + regexp.QuoteMeta(e.Hostname) + "(:[0-9]+)?$", false},
		{"session-management", "create-session", true, false},
		{console, "owner", a.owner(), false},
		{console, "permissions-file", filepath.Join(a.Paths.Config, permissionsFile), false},
		{console, "max-concurrent-clients", maxClients, false},
		{console, "client-eviction-policy", "same-user-oldest-connection", false},
		{"connectivity", "enable-quic-frontend", a.QUIC, false},
		{"connectivity", "idle-timeout", 0, true},
	}
	if a.born.data.ControlCA != "" {
		s = append(s, setting{"security", "ca-file", filepath.Join(a.Paths.Config, authorityFile), false})
	}
	return s
}

func (a *agent) owner() string {
	if a.born.data.User != "" {
		return a.born.data.User
	}
	return "participant"
}

// files are what the settings point to.
func (a *agent) files() map[string]string {
	files := map[string]string{permissionsFile: permissions}
	if a.born.data.ControlCA != "" {
		files[authorityFile] = a.born.data.ControlCA
	}
	return files
}

// permissions are who may do what in the session: its participant and a host everything, an observer see and hear.
const permissions = `# Written by greenroom-agent.
[permissions]
%owner% allow builtin
` + agentapi.Host + ` allow builtin
` + agentapi.Observer + ` allow display pointer audio-out
`
