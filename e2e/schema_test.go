package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"greenroom/internal/httpapi/wire"
)

// schemaRun bounds a run of Schemathesis.
const schemaRun = 60 * time.Second

// The exceptions, each with its reason:
//   - positive_data_acceptance: a schema cannot say that a duration is a Go duration, that a role is one of the blueprint's, or
//     that a meeting is over; such input is refused with 409, 410, 412 or 422.
//   - negative_data_rejection: 410, because a meeting that is over is refused before the input is looked at.
//   - watch is a stream, which a client of documents would wait for.
const schemaConfig = `
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 410, 412, 422, 429]

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 410, 412, 415, 422, 429, "5xx"]

[[operations]]
include-path-regex = "^/api/v1/join/"
parameters = { id = %q, role = %q, seat = %q, key = %q }
`

// The API holds to its own schema: nothing is answered that the schema does not describe, and nothing is accepted that it
// forbids. Schemathesis makes the requests from /openapi.json.
func TestTheAPIHoldsToItsSchema(t *testing.T) {
	python, err := filepath.Abs("../.cache/schemathesis/bin/python3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		t.Fatal("this test needs Schemathesis, which is not installed: scripts/setup.sh test installs it")
	}
	s := newInstance(t)
	s.start()
	m, err := s.api.Schedule(t.Context(), wire.Schedule{Title: "Algebra", StartsAt: time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)}, "")
	if err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(m.Seats[0].JoinURL)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "schemathesis.toml")
	seat := m.Seats[0].Role
	if err := os.WriteFile(config, fmt.Appendf(nil, schemaConfig, m.ID, seat, seat, link.Query().Get("key")), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), schemaRun)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-m", "schemathesis.cli", "--config-file", config, "run", "http://"+s.ports[0]+"/openapi.json",
		"--max-examples", "5", "--seed", "1", "--exclude-operation-id", "watch", "--no-color")
	cmd.Env = append(os.Environ(), "COLUMNS=200")
	cmd.Dir = dir // it keeps its findings beside it
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cases := regexp.MustCompile(`(\d+) generated`).FindSubmatch(out)
	if cases == nil || len(cases[1]) < 3 {
		t.Errorf("it made fewer than 100 requests:\n%s", out)
	}
	s.stop()
	log, err := os.ReadFile(s.log())
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`(?m)^.*(request failed|request panicked|status=5\d\d).*$`).FindAll(log, 5); found != nil {
		t.Errorf("the server failed: %s", found)
	}
}
