package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/httpapi/wire"
)

func TestSchedule(t *testing.T) {
	t.Parallel()

	t.Run("AnswersWithTheMeetingAndWhereItIs", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		a := r.call("POST", "/api/v1/meetings", `{"title": "Algebra", "starts_at": "now", "duration": "30m", "time_zone": "America/Vancouver",
			"seats": [{"role": "teacher", "name": "Teacher One"}, {"role": "student", "name": "Student One", "email": "student@example.com"}]}`)
		m := doc[wire.Meeting](t, a, 201)
		if got := a.header.Get("Location"); got != "/api/v1/meetings/"+m.ID {
			t.Errorf("Location is %q", got)
		}
		if got := a.header.Get("ETag"); got != `"1"` {
			t.Errorf("ETag is %q", got)
		}
		if m.Seats[1].Email != "student@example.com" || m.VideoURL != "https://video.test/"+m.ID || m.EndsAt.Sub(m.StartsAt).String() != "30m0s" {
			t.Errorf("meeting is %+v", m)
		}
	})

	t.Run("TheDocumentHasTheContractsFields", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		var m map[string]any
		a := r.call("GET", "/api/v1/meetings/"+r.scheduled().ID, nil)
		if err := json.Unmarshal(a.body, &m); err != nil {
			t.Fatal(err)
		}
		seat := m["seats"].([]any)[0].(map[string]any)
		desktop := seat["desktop"].(map[string]any)
		for name, c := range map[string]struct {
			of   map[string]any
			want []string
		}{
			"meeting": {m, []string{"blueprint", "created_at", "end_reason", "ended_at", "ends_at", "id", "parked_reason", "parked_until", "seats", "starts_at", "state", "time_zone", "title", "version", "video_url"}},
			"seat":    {seat, []string{"desktop", "email", "id", "join_url", "name", "role", "session_data"}},
			"desktop": {desktop, []string{"address", "addresses", "agent", "attempt", "away_since", "connected", "connections", "end_reason", "error", "hostname", "instance_id", "phase", "proof", "timings"}},
		} {
			if diff := cmp.Diff(c.want, slices.Sorted(maps.Keys(c.of))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if m["end_reason"] != nil || desktop["error"] != nil || desktop["end_reason"] != nil || m["state"] != "scheduled" {
			t.Errorf("document is %s", a.body)
		}
	})

	t.Run("TheSameKeyIsTheSameMeeting", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		in := wire.Schedule{Title: "Algebra", StartsAt: "now"}
		first := doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings", in, "Idempotency-Key", "k-1"), 201)
		a := r.call("POST", "/api/v1/meetings", in, "Idempotency-Key", "k-1")
		if again := doc[wire.Meeting](t, a, 201); again.ID != first.ID || a.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s and %s, replayed %q", first.ID, again.ID, a.header.Get("Idempotent-Replayed"))
		}
		in.Title = "Geometry"
		if p := problem(t, r.call("POST", "/api/v1/meetings", in, "Idempotency-Key", "k-1"), 409); p.Field != "Idempotency-Key" {
			t.Errorf("field is %q", p.Field)
		}
		for _, key := range []string{strings.Repeat("k", 256), "two words", "ümlaut"} {
			if p := problem(t, r.call("POST", "/api/v1/meetings", in, "Idempotency-Key", key), 422); p.Field != "Idempotency-Key" {
				t.Errorf("key %q: field is %q", key, p.Field)
			}
		}
	})
}

func TestFaultsOfTheInput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const ok = `{"title": "Algebra", "starts_at": "now"}`
	with := func(pair string) string { return strings.Replace(ok, "}", ", "+pair+"}", 1) }
	for _, c := range []struct {
		name, body string
		status     int
		field      string
	}{
		{"NotJSON", "{", 400, ""},
		{"Trailing", ok + ok, 400, ""},
		{"Empty", "", 400, ""},
		{"NotAnObject", "[]", 422, "body"},
		{"Null", "null", 422, "body"},
		{"UnknownField", with(`"colour": "red"`), 422, "colour"},
		{"UnknownFieldOfASeat", with(`"seats": [{"role": "teacher"}, {"role": "student", "age": 3}]`), 422, "seats[1].age"},
		{"WrongType", `{"title": 3, "starts_at": "now"}`, 422, "title"},
		{"WrongTypeOfASeat", with(`"seats": [{"role": "teacher"}, {"role": 4}]`), 422, "seats[1].role"},
		{"SeatsNoList", with(`"seats": "teacher"`), 422, "seats"},
		{"TitleMissing", `{"starts_at": "now"}`, 422, "title"},
		{"StartMissing", `{"title": "Algebra"}`, 422, "starts_at"},
		{"RoleMissing", with(`"seats": [{"name": "x"}]`), 422, "seats[0].role"},
		{"NoSuchRole", with(`"seats": [{"role": "wizard"}]`), 422, "seats[0].role"},
		{"IDOfANewSeat", with(`"seats": [{"role": "teacher"}, {"id": "x", "role": "teacher"}]`), 422, "seats[1].id"},
		{"NoSeats", with(`"seats": []`), 422, "seats"},
		{"NegativeDuration", with(`"duration": "-1h"`), 422, "duration"},
		{"EndlessDuration", with(`"duration": "100000h"`), 422, "duration"},
		{"BadTime", `{"title": "Algebra", "starts_at": "tomorrow-ish"}`, 422, "starts_at"},
		{"LongAgo", `{"title": "Algebra", "starts_at": "2001-01-01T00:00:00Z"}`, 422, "starts_at"},
		{"BadZone", with(`"time_zone": "Mars/Base"`), 422, "time_zone"},
		{"NoSuchBlueprint", with(`"blueprint": "nope"`), 422, "blueprint"},
		{"LongTitle", fmt.Sprintf(`{"title": %q, "starts_at": "now"}`, strings.Repeat("x", 1000)), 422, "title"},
		{"NovelAsTitle", fmt.Sprintf(`{"title": %q, "starts_at": "now"}`, strings.Repeat("x", 300000)), 413, ""},
		{"Deep", strings.Repeat("[", 20000), 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := problem(t, r.in(t).call("POST", "/api/v1/meetings", c.body), c.status)
			if p.Field != c.field {
				t.Errorf("field is %q, want %q: %s", p.Field, c.field, p.Detail)
			}
		})
	}

	t.Run("AllAtOnce", func(t *testing.T) {
		t.Parallel()
		p := problem(t, r.in(t).call("POST", "/api/v1/meetings", `{"title": "", "starts_at": "x", "duration": "y", "time_zone": "z"}`), 422)
		var fields []string
		for _, f := range p.Errors {
			fields = append(fields, f.Field)
		}
		slices.Sort(fields)
		if diff := cmp.Diff([]string{"duration", "starts_at", "time_zone", "title"}, fields); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("NotSentAsJSON", func(t *testing.T) {
		t.Parallel()
		problem(t, r.in(t).call("POST", "/api/v1/meetings", ok, "Content-Type", "application/x-www-form-urlencoded"), 415)
		problem(t, r.in(t).call("POST", "/api/v1/meetings", ok, "Content-Type", "text/plain"), 415)
	})
}

func TestEditAsksBeforeItTakesDesktops(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	path := "/api/v1/meetings/" + m.ID
	r.ready(m.ID)
	r.change(m.ID, func(m *greenroom.Meeting) []greenroom.Event {
		m.Seat("teacher").Desktop.Phase, m.Seat("teacher").Desktop.Agent.Connections = greenroom.InUse, 1
		return nil
	})
	move := `{"starts_at": "` + time.Now().Add(5*time.Hour).UTC().Format(time.RFC3339) + `"`
	if p := problem(t, r.call("PATCH", path, move+"}"), 409); p.Type != "/problems/occupied" || p.Field != "force" || !strings.Contains(p.Detail, "is in one now") {
		t.Errorf("problem is %+v", p)
	}
	doc[wire.Meeting](t, r.call("PATCH", path, move+`, "force": true}`), 200)
}

func TestEdit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	path := "/api/v1/meetings/" + m.ID

	a := r.call("PATCH", path, `{"title": "Geometry"}`, "If-Match", `"1"`)
	if got := doc[wire.Meeting](t, a, 200); got.Title != "Geometry" || got.Version != 2 || a.header.Get("ETag") != `"2"` || got.Seats[0].JoinURL != m.Seats[0].JoinURL {
		t.Fatalf("meeting is %+v", got)
	}
	if p := problem(t, r.call("PATCH", path, `{"title": "Late"}`, "If-Match", "1"), 412); p.Field != "If-Match" {
		t.Errorf("field is %q", p.Field)
	}
	doc[wire.Meeting](t, r.call("PATCH", path, `{"duration": "2h"}`, "If-Match", "*"), 200)
	for _, bad := range []string{"abc", `"1" "2"`, "-1", "0"} {
		problem(t, r.call("PATCH", path, `{"title": "x"}`, "If-Match", bad), 422)
	}
	for _, stale := range []string{`W/"1"`, `"1", "2"`, `"3-gzip"`} {
		problem(t, r.call("PATCH", path, `{"title": "x"}`, "If-Match", stale), 412)
	}
	doc[wire.Meeting](t, r.call("PATCH", path, `{"title": "Weak"}`, "If-Match", `W/"3"`), 200)
	doc[wire.Meeting](t, r.call("PATCH", path, `{"title": "One of a list"}`, "If-Match", `"2", W/"4"`), 200)
	if p := problem(t, r.call("PATCH", path, `{"ends_at": "soon"}`), 422); p.Field != "ends_at" {
		t.Errorf("field is %q", p.Field)
	}
	if p := problem(t, r.call("PATCH", path, `{"version": 9}`), 422); p.Field != "version" {
		t.Errorf("field is %q", p.Field)
	}
	problem(t, r.call("PATCH", "/api/v1/meetings/zzzzzzzzzzzzzzzz", `{"title": "x"}`), 404)

	old := r.join(m, "teacher")
	fresh := doc[wire.Meeting](t, r.call("POST", path+"/seats/teacher/key", nil), 200)
	problem(t, r.call("GET", old, nil), 403)
	doc[wire.Standing](t, r.call("GET", r.join(fresh, "teacher"), nil), 202)
	problem(t, r.call("POST", path+"/seats/wizard/key", nil), 404)
}

// A list of seats can be read, changed and sent back as it was answered.
func TestEditWithTheSeatsThatWereAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	path := "/api/v1/meetings/" + m.ID
	answer := doc[map[string]any](t, r.call("GET", path, nil), 200)
	seats := answer["seats"].([]any)
	seats[1].(map[string]any)["name"] = "Another Name"
	body, err := json.Marshal(map[string]any{"seats": seats})
	if err != nil {
		t.Fatal(err)
	}
	got := doc[wire.Meeting](t, r.call("PATCH", path, string(body)), 200)
	if got.Seats[1].Name != "Another Name" || got.Seats[0].JoinURL != m.Seats[0].JoinURL || got.Seats[1].JoinURL != m.Seats[1].JoinURL {
		t.Errorf("meeting is %+v", got)
	}
	if p := problem(t, r.call("PATCH", path, `{"seats": [{"role": "teacher", "jion_url": ""}]}`), 422); p.Field != "seats[0].jion_url" {
		t.Errorf("field is %q", p.Field)
	}
	if p := problem(t, r.call("POST", path+"/seats", `{"seats": [{"role": "teacher", "id": "chosen"}]}`), 422); p.Field != "seats[0].id" {
		t.Errorf("field is %q", p.Field)
	}
}

func TestIfMatchInSeveralLines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := "/api/v1/meetings/" + r.scheduled().ID
	doc[wire.Meeting](t, r.call("PATCH", path, `{"title": "Listed"}`, "If-Match", `"7"`, "If-Match", `"1"`), 200)
	p := problem(t, r.call("PATCH", path, `{"title": "x"}`, "If-Match", `"other"`), 412)
	if strings.Contains(p.Detail, "-1") {
		t.Errorf("detail is %q", p.Detail)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := map[string]bool{}
	for range 5 {
		want[r.scheduled().ID] = true
	}
	got, cursor := map[string]bool{}, ""
	for range 3 {
		path := "/api/v1/meetings?limit=2"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		page := doc[wire.Meetings](t, r.call("GET", path, nil), 200)
		for _, m := range page.Meetings {
			got[m.ID] = true
		}
		cursor = ""
		if page.NextCursor != nil {
			cursor = *page.NextCursor
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || cursor != "" {
		t.Errorf("cursor %q, diff %s", cursor, diff)
	}
	if page := doc[wire.Meetings](t, r.call("GET", "/api/v1/meetings?state=ended", nil), 200); len(page.Meetings) != 0 {
		t.Errorf("%d meetings have ended", len(page.Meetings))
	}
	for query, field := range map[string]string{"limit=0": "limit", "limit=501": "limit", "limit=x": "limit", "state=asleep": "state", "from=monday": "from", "colour=red": "colour", "cursor=nonsense": "cursor"} {
		if p := problem(t, r.call("GET", "/api/v1/meetings?"+query, nil), 422); p.Field != field {
			t.Errorf("%s: field is %q (%s)", query, p.Field, p.Detail)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	for call, reason := range map[string]greenroom.EndReason{"end": greenroom.EndedByHost, "cancel": greenroom.Cancelled} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.scheduled()
			got := doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings/"+m.ID+"/"+call, nil), 200)
			if got.EndReason == nil || *got.EndReason != reason || got.EndedAt == nil {
				t.Errorf("meeting is %+v", got)
			}
			if p := problem(t, r.call("GET", r.join(m, "student"), nil), 410); p.EndReason != string(reason) {
				t.Errorf("the link says %q", p.EndReason)
			}
			problem(t, r.call("PATCH", "/api/v1/meetings/"+m.ID, `{"title": "x"}`), 410)
			problem(t, r.call("POST", "/api/v1/meetings/zzzzzzzzzzzzzzzz/"+call, nil), 404)
		})
	}
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	r.call("PATCH", "/api/v1/meetings/"+m.ID, `{"title": "Geometry"}`)
	first := doc[wire.Events](t, r.call("GET", "/api/v1/meetings/"+m.ID+"/events?limit=1", nil), 200)
	if len(first.Events) != 1 || first.Events[0].Kind != "scheduled" || first.NextAfter == nil {
		t.Fatalf("events are %+v", first)
	}
	rest := doc[wire.Events](t, r.call("GET", fmt.Sprintf("/api/v1/meetings/%s/events?after=%d", m.ID, *first.NextAfter), nil), 200)
	if len(rest.Events) != 1 || rest.Events[0].Kind != "changed" || rest.NextAfter != nil {
		t.Errorf("events are %+v", rest)
	}
	problem(t, r.call("GET", "/api/v1/meetings/zzzzzzzzzzzzzzzz/events", nil), 404)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := doc[wire.Plan](t, r.call("GET", "/api/v1/meetings/"+r.scheduled().ID+"/plan", nil), 200)
	if len(p.Steps) == 0 || p.Steps[0].Why == "" {
		t.Errorf("plan is %+v", p)
	}
}

func TestSessionData(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	path := "/api/v1/meetings/" + m.ID + "/seats/teacher/session-data"
	if a := r.call("PUT", path, `{"url": "s3://recordings/x.zip"}`); a.status != 204 || len(a.body) != 0 {
		t.Errorf("status %d, body %q", a.status, a.body)
	}
	if p := problem(t, r.call("PUT", path, `{"url": "file:///etc/passwd"}`), 422); p.Field != "url" {
		t.Errorf("field is %q", p.Field)
	}
	got := doc[wire.Meeting](t, r.call("GET", "/api/v1/meetings/"+m.ID, nil), 200)
	if d := got.Seats[0].SessionData; d == nil || d.URL != "s3://recordings/x.zip" {
		t.Errorf("session data is %+v", d)
	}
}

func TestUnknownAddresses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	problem(t, r.call("GET", "/api/v1/nothing", nil), 404)
	problem(t, r.call("GET", "/api/", nil), 404)
	problem(t, r.call("POST", "/agent/v1/nothing", nil), 404)
	a := r.call("DELETE", "/api/v1/meetings/"+r.scheduled().ID, nil)
	problem(t, a, 405)
	if diff := cmp.Diff([]string{"GET", "PATCH"}, a.header.Values("Allow")); diff != "" {
		t.Error(diff)
	}
	for _, id := range []string{"short", "UPPERCASEUPPERCASE", "..%2F..%2Fetc", strings.Repeat("a", 33)} {
		problem(t, r.call("GET", "/api/v1/meetings/"+id, nil), 404)
	}
}
