package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/store"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const ok = `{"title": "Algebra", "starts_at": "now"}`
	for _, c := range []struct {
		name, body    string
		status        int
		field, detail string
		headers       []string
	}{
		{"Good", ok, 201, "", "", nil},
		{"CapitalType", ok, 201, "", "", []string{"Content-Type", "APPLICATION/JSON"}},
		{"MixedType", ok, 201, "", "", []string{"Content-Type", "Application/Json; Charset=UTF-8"}},
		{"QuotedCharset", ok, 201, "", "", []string{"Content-Type", `application/json;charset="utf-8"`}},
		{"NoType", ok, 201, "", "", []string{"Content-Type", ""}},
		{"Identity", ok, 201, "", "", []string{"Content-Encoding", "identity"}},
		{"UTF16", ok, 415, "", "UTF-8", []string{"Content-Type", "application/json; charset=utf-16"}},
		{"Latin1", ok, 415, "", "UTF-8", []string{"Content-Type", "application/json; charset=ISO-8859-1"}},
		{"Form", ok, 415, "", "application/json", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"NoTypeAtAll", ok, 415, "", "application/json", []string{"Content-Type", "json"}},
		{"TextJSON", ok, 415, "", "application/json", []string{"Content-Type", "text/plain"}},
		{"FalseGzip", ok, 415, "", "Content-Encoding", []string{"Content-Encoding", "gzip"}},
		{"Brotli", ok, 415, "", "Content-Encoding", []string{"Content-Encoding", "br, gzip"}},
		{"OtherCase", `{"Title": "Algebra", "starts_at": "now"}`, 422, "title", "", nil},
		{"OtherCaseBeside", `{"title": "Algebra", "Title": "x", "starts_at": "now"}`, 422, "Title", "", nil},
		{"OtherCaseOfASeat", `{"title": "Algebra", "starts_at": "now", "seats": [{"role": "teacher", "Name": "x"}]}`, 422, "seats[0].Name", "", nil},
		{"Duplicate", `{"title": "Algebra", "starts_at": "now", "title": "x"}`, 400, "title", "duplicate", nil},
		{"DuplicateEscaped", `{"title": "Algebra", "starts_at": "now", "titl\u0065": "x"}`, 400, "title", "duplicate", nil},
		{"DuplicateOfASeat", `{"title": "Algebra", "starts_at": "now", "seats": [{"role": "teacher", "role": "student"}]}`, 400, "role", "duplicate", nil},
		{"SameKeyInTwoSeats", `{"title": "Algebra", "starts_at": "now", "seats": [{"role": "teacher"}, {"role": "student"}]}`, 201, "", "", nil},
		{"Trailing", ok + ` {}`, 400, "", "more after the document", nil},
		{"TrailingGarbage", ok + `x`, 400, "", "valid JSON", nil},
		{"TrailingSpace", ok + " \n\t", 201, "", "", nil},
		{"NotUTF8", "{\"title\": \"\xff\", \"starts_at\": \"now\"}", 400, "", "UTF-8", nil},
		{"Deep", `{"title":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`, 400, "", "nested", nil},
		{"Cut", `{"title": "Algebra"`, 400, "", "unexpected end", nil},
		{"TwoCommas", `{"title": "Algebra",, "starts_at": "now"}`, 400, "", "valid JSON", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := r.in(t).call("POST", "/api/v1/meetings", c.body, c.headers...)
			if c.status == 201 {
				doc[wire.Meeting](t, a, 201)
				return
			}
			p := problem(t, a, c.status)
			if p.Field != c.field || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("field %q, want %q; %q must say %q", p.Field, c.field, p.Detail, c.detail)
			}
		})
	}
}

// raw sends bytes as they are and returns the status of the answer.
func (r *rig) raw(request string) int {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		r.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	for name, request := range map[string]string{
		"POST": "POST /api/v1/meetings", "PATCH": "PATCH /api/v1/meetings/" + m.ID, "PUT": "PUT /api/v1/meetings/" + m.ID + "/seats/teacher/session-data", "end": "POST /api/v1/meetings/" + m.ID + "/end",
	} {
		head := fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", request, r.server.Listener.Addr())
		for _, chunks := range []string{"zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}x\r\n0\r\n\r\n", "-1\r\n\r\n", "ffffffffffffffffff\r\n{}"} {
			if got := r.raw(head + chunks); got != 400 {
				t.Errorf("%s with %q: status %d, want 400", name, chunks, got)
			}
		}
	}
	if log := r.log.String(); strings.Contains(log, "status=500") || strings.Contains(log, "request failed") || !strings.Contains(log, "status=400") {
		t.Errorf("the log says\n%s", log)
	}
}

// Who goes away during a call is no fault of the server.
func TestAClientThatGoesAwayIsNoFailure(t *testing.T) {
	t.Parallel()
	blocked := make(chan struct{})
	r := newRig(t, func(s *setup) { s.store = slowStore{s.store, blocked} })
	conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /api/v1/meetings/aaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: %s\r\n\r\n", r.server.Listener.Addr())
	<-blocked // the call is under way
	_ = conn.Close()
	<-blocked // the call has ended
	r.server.Close()
	if log := r.log.String(); strings.Contains(log, "status=500") || strings.Contains(log, "request failed") {
		t.Errorf("the log says\n%s", log)
	}
}

func TestTimesInLowerCase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.scheduled()
	for query, status := range map[string]int{
		"from=2026-01-01t00:00:00z": 200, "to=2999-01-01t00:00:00z": 200, "from=2026-01-01T00:00:00%2B01:00": 200, "from=2026-01-01T00:00:00+01:00": 200,
		"from=yesterday": 422, "to=2026-01-01": 422, "to=": 422, "limit=": 422, "limit=5&limit=6": 422, "limit=%zz": 400, "limit=5;to=x": 400, "limit=5": 200,
	} {
		if a := r.call("GET", "/api/v1/meetings?"+query, nil); a.status != status {
			t.Errorf("%s: status %d, want %d: %s", query, a.status, status, a.body)
		}
	}
	m := doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings", `{"title": "Algebra", "starts_at": "`+strings.ToLower(time.Now().Add(time.Hour).UTC().Format(time.RFC3339))+`"}`), 201)
	problem(t, r.call("PATCH", "/api/v1/meetings/"+m.ID, `{"time_zone": ""}`), 422)
}

// slowStore answers for a meeting when the caller has gone, and says when it begins and ends.
type slowStore struct {
	store.Store
	blocked chan struct{}
}

func (s slowStore) Meeting(ctx context.Context, _ string) (greenroom.Meeting, error) {
	s.blocked <- struct{}{}
	<-ctx.Done()
	s.blocked <- struct{}{}
	return greenroom.Meeting{}, ctx.Err()
}

// A meeting that was stored under a legacy name is shown under today's.
func TestALegacyZoneIsShownUnderTodaysName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	r.change(m.ID, func(m *greenroom.Meeting) []greenroom.Event {
		m.TimeZone = "Europe/Kiev"
		return nil
	})
	if got := doc[wire.Meeting](t, r.call("GET", "/api/v1/meetings/"+m.ID, nil), 200); got.TimeZone != "Europe/Kyiv" {
		t.Errorf("the organiser sees %s", got.TimeZone)
	}
	if a := r.call("GET", r.join(m, "teacher"), nil); !strings.Contains(string(a.body), `"time_zone":"Europe/Kyiv"`) {
		t.Errorf("the participant sees %s", a.body)
	}
}
