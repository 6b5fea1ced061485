package dcvagent

import (
	"crypto/x509"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom/internal/agent/agentapi"
)

func TestEdit(t *testing.T) {
	t.Parallel()
	want := []setting{{"security", "auth-token-verifier", `https://h/a"b\c`, false}, {"security", "os-auto-lock", false, false}, {"connectivity", "idle-timeout", 0, true}}
	for name, c := range map[string]struct {
		text, out string
		changed   int
	}{
		"Nothing": {"", "[security]\nauth-token-verifier=\"https://h/a\\\"b\\\\c\"\nos-auto-lock=false\n\n[connectivity]\nidle-timeout=0\n", 3},
		"KeepsWhatIsTheOperators": {
			"# mine\n[security]\n# os-auto-lock=true\nno-tls-strict = false\n\n[log]\nlevel='debug'\n",
			"# mine\n[security]\n# os-auto-lock=true\nno-tls-strict = false\nauth-token-verifier=\"https://h/a\\\"b\\\\c\"\nos-auto-lock=false\n\n[log]\nlevel='debug'\n\n[connectivity]\nidle-timeout=0\n", 3},
		"TheSameOtherwiseQuotedIsTheSame": {
			"[connectivity]\nidle-timeout = 0\n[security]\nauth-token-verifier = 'https://h/a\"b\\\\c'\nos-auto-lock=false\n",
			"[connectivity]\nidle-timeout = 0\n[security]\nauth-token-verifier = 'https://h/a\"b\\\\c'\nos-auto-lock=false\n", 0},
		"AKeyOfAnotherSectionIsAnother": {
			"[log]\nidle-timeout=5\n[connectivity]\nidle-timeout=60\n[security]\nauth-token-verifier='x'\nos-auto-lock=true\n",
			"[log]\nidle-timeout=5\n[connectivity]\nidle-timeout=0\n[security]\nauth-token-verifier=\"https://h/a\\\"b\\\\c\"\nos-auto-lock=false\n", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, changed := edit(c.text, want)
			if diff := cmp.Diff(c.out, out); diff != "" || len(changed) != c.changed {
				t.Errorf("%d changed, want %d\n%s", len(changed), c.changed, diff)
			}
			if again, changed := edit(out, want); again != out || len(changed) > 0 {
				t.Errorf("a second time it changes %v", changed)
			}
		})
	}
}

func FuzzEdit(f *testing.F) {
	f.Add("[security]\na=1\n", "https://x/\n[security]")
	f.Fuzz(func(t *testing.T, text, value string) {
		s := []setting{{"security", "auth-token-verifier", value, false}}
		once, _ := edit(text, s)
		if twice, changed := edit(once, s); twice != once || len(changed) > 0 {
			t.Errorf("it is not settled: %q then %q", once, twice)
		}
	})
}

func TestRegistryValues(t *testing.T) {
	t.Parallel()
	values := registryValues([]setting{{console, "owner", "ada", false}, {"security", "os-auto-lock", false, false}, {"session-management", "create-session", true, false}, {"connectivity", "idle-timeout", 0, true}})
	text := "ada"
	want := []registryValue{
		{path: `S-1-5-18\Software\GSettings\com\nicesoftware\dcv\session-management\automatic-console-session`, name: "owner", text: &text},
		{path: `S-1-5-18\Software\GSettings\com\nicesoftware\dcv\security`, name: "os-auto-lock"},
		{path: `S-1-5-18\Software\GSettings\com\nicesoftware\dcv\session-management`, name: "create-session", number: 1},
		{path: `S-1-5-18\Software\GSettings\com\nicesoftware\dcv\connectivity`, name: "idle-timeout", live: true},
	}
	if diff := cmp.Diff(want, values, cmp.AllowUnexported(registryValue{})); diff != "" {
		t.Error(diff)
	}
}

// TestSettings has every parameter that is set, with its value.
func TestSettings(t *testing.T) {
	t.Parallel()
	const verify = "https://greenroom.example.com/dcv/verify/secret"
	want := []setting{
		{"security", "auth-token-verifier", verify, false},
		{"security", "no-tls-strict", false, false},
		{"security", "os-auto-lock", false, false},
		{"security", "allowed-http-host-regex", `^i-1\.desk\.example\.com(:[0-9]+)?$`, false},
		{"session-management", "create-session", true, false},
		{console, "owner", "ada", false},
		{console, "permissions-file", "/etc/dcv/greenroom.perm", false},
		{console, "max-concurrent-clients", 8, false},
		{console, "client-eviction-policy", "same-user-oldest-connection", false},
		{"connectivity", "enable-quic-frontend", false, false},
		{"connectivity", "idle-timeout", 0, true},
	}
	a := &agent{Config: Config{Paths: Paths{Config: "/etc/dcv"}}, born: birth{data: agentapi.UserData{User: "ada"}}}
	enrolled := agentapi.Enrolled{Hostname: "i-1.desk.example.com", VerifyURL: verify}
	if diff := cmp.Diff(want, a.settings(enrolled), cmp.AllowUnexported(setting{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.QUIC, a.born.data.ControlCA = true, "PEM"
	want[9].value = true
	want = append(want, setting{"security", "ca-file", "/etc/dcv/greenroom-ca.pem", false}) // else the system's authorities are trusted
	if diff := cmp.Diff(want, a.settings(enrolled), cmp.AllowUnexported(setting{})); diff != "" {
		t.Errorf("with QUIC and an authority (-want +got):\n%s", diff)
	}
}

func TestNextMark(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 12, 1, 16, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		before, told time.Duration
		at, left     time.Duration // before the end
		none         bool
	}{
		"an hour before":               {time.Hour, 0, 10 * time.Minute, 10 * time.Minute, false},
		"after the first":              {10 * time.Minute, 10 * time.Minute, 5 * time.Minute, 5 * time.Minute, false},
		"it came a little late":        {9 * time.Minute, 0, 9 * time.Minute, 10 * time.Minute, false},
		"it came much too late":        {6 * time.Minute, 0, 5 * time.Minute, 5 * time.Minute, false},
		"the last":                     {2 * time.Minute, 5 * time.Minute, time.Minute, time.Minute, false},
		"a meeting of half a minute":   {40 * time.Second, 0, 40 * time.Second, time.Minute, false},
		"nothing more after the last":  {30 * time.Second, time.Minute, 0, 0, true},
		"nothing when it is long over": {-time.Hour, 0, 0, 0, true},
		"the one of five told already": {4 * time.Minute, 5 * time.Minute, time.Minute, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, left, ok := nextMark(end, end.Add(-c.before), c.told)
			if ok == c.none || ok && (!at.Equal(end.Add(-c.at)) || left != c.left) {
				t.Errorf("at %s before the end, %s left, %v", end.Sub(at), left, ok)
			}
		})
	}
	if _, _, ok := nextMark(time.Time{}, end, 0); ok {
		t.Error("an end that is not known has no marks")
	}
}

func TestOutputOfVersions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		n    int
		bad  bool
	}{
		"nobody":            {"[]", 0, false},
		"one":               {`[{"id": 3, "username": "ada", "connection-time": "2026-12-01T15:00:00.123456Z"}]`, 1, false},
		"alone":             {`{"ID": "3", "User_Name": 1}`, 1, false},
		"nothing":           {"", 0, true},
		"a sentence":        {"no sessions available", 0, true},
		"a list of numbers": {"[1, 2]", 0, true},
		"a number":          {"7", 0, true},
		"null":              {"null", 0, true},
		"cut off":           {`[{"id": 3`, 0, true},
	} {
		got, err := objects([]byte(c.text))
		if len(got) != c.n || (err != nil) != c.bad {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	o := jsonObject{"id": strings.Repeat("x", 1<<20), "licenses": "none", "connection-time": "yesterday"}
	if len(o.text("id")) > maxField || len(o.list("licenses")) > 0 || !o.time("connection-time").IsZero() {
		t.Error("what is not understood is taken for something")
	}
}

func TestKeyIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, _, err := loadKey(dir, "secret")
	if err != nil {
		t.Fatal(err)
	}
	again, text, err := loadKey(dir, "secret")
	if err != nil || !again.Equal(first) {
		t.Errorf("another key: %v", err)
	}
	if key, err := parseKey(text); err != nil || !key.Equal(first) {
		t.Errorf("what DCV gets is another: %v", err)
	}
	if other, _, err := loadKey(dir, "of another machine"); err != nil || other.Equal(first) {
		t.Errorf("a copy of the machine has its key: %v", err)
	}
	if _, err := x509.MarshalPKIXPublicKey(&first.PublicKey); err != nil {
		t.Error(err)
	}
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for left, want := range map[time.Duration]string{10 * time.Minute: "10 minutes", 5*time.Minute - time.Second: "5 minutes", time.Minute: "one minute", 20 * time.Second: "one minute"} {
			if got := timeLeft(left); !strings.Contains(got, want) {
				t.Errorf("%s: %s", left, got)
			}
		}
	})
}
