package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestMeeting(t *testing.T) {
	t.Parallel()

	t.Run("ShowsWhatIsThere", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		s.get(t, "/meetings/"+m.ID).want(t, 200, "<h1><bdi>Algebra</bdi></h1>", "Saturday 1 June 2030, 15:00", "Europe/Berlin (UTC&#43;2)",
			s.service.JoinURL(m, m.Seats[1]), "mailto:sam@example.com?subject=Algebra", "Scheduled by &lt;nobody&gt; &amp; co.", "Desktops are started at 14:50")
	})
	t.Run("ItsScriptGetsTheLivePartAlone", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/meetings/"+m.ID, nil)
		r.Header.Set("HX-Request-Type", "partial")
		got := s.do(t, r)
		got.want(t, 200, `<div id="live"`)
		if strings.Contains(got.body, "<html") {
			t.Error("the whole page came")
		}
	})
	t.Run("EditChangesOnlyWhatDiffers", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t, "start", "now") // starts within a minute, which the form cannot say
		berlin, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		local := m.StartsAt.In(berlin)
		r := s.post(t, "/meetings/"+m.ID+"/edit", url.Values{
			"version": {"1"}, "title": {"Geometry"}, "starts_at": {local.Format("2006-01-02T15:04")}, "time_zone": {"Europe/Berlin"}, "duration": {m.Duration().String()},
		})
		r.want(t, http.StatusSeeOther)
		got, _ := s.service.Meeting(t.Context(), m.ID)
		if got.Title != "Geometry" || !got.StartsAt.Equal(m.StartsAt) {
			t.Errorf("%q at %s, want Geometry at %s", got.Title, got.StartsAt, m.StartsAt)
		}
	})
	t.Run("EditMovesTheStartWithTheZone", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		s.post(t, "/meetings/"+m.ID+"/edit", url.Values{
			"version": {"1"}, "title": {"Algebra"}, "starts_at": {"2030-06-01T15:00"}, "time_zone": {"Asia/Kolkata"}, "duration": {"1h30m0s"},
		}).want(t, http.StatusSeeOther)
		got, _ := s.service.Meeting(t.Context(), m.ID)
		if want := time.Date(2030, 6, 1, 9, 30, 0, 0, time.UTC); !got.StartsAt.Equal(want) || got.Duration() != 90*time.Minute {
			t.Errorf("at %s for %s, want %s for 1h30m", got.StartsAt, got.Duration(), want)
		}
	})
	t.Run("AStaleEditIsRefused", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		extend := func() reply { return s.post(t, "/meetings/"+m.ID+"/extend", url.Values{"version": {"1"}}) }
		extend().want(t, http.StatusSeeOther)
		extend().want(t, http.StatusConflict, "has changed in the meantime")
		got, _ := s.service.Meeting(t.Context(), m.ID)
		if got.Duration() != 75*time.Minute {
			t.Errorf("a double click extended it to %s, want 1h15m", got.Duration())
		}
	})
	t.Run("AStaleEditKeepsWhatWasTypedAndSaysWhatChanged", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		opened := url.Values{
			"version": {"1"}, "title": {"Algebra"}, "starts_at": {m.StartsAt.Format("2006-01-02T15:04")}, "time_zone": {m.TimeZone}, "duration": {"1h0m0s"},
			"was_title": {"Algebra"}, "was_starts_at": {m.StartsAt.Format("2006-01-02T15:04")}, "was_time_zone": {m.TimeZone}, "was_duration": {"1h0m0s"},
		}
		mine, theirs := maps.Clone(opened), maps.Clone(opened)
		theirs["title"], theirs["duration"] = []string{"Geometry"}, []string{"2h0m0s"}
		mine["title"] = []string{"Physics"}
		s.post(t, "/meetings/"+m.ID+"/edit", theirs).want(t, http.StatusSeeOther)
		r := s.post(t, "/meetings/"+m.ID+"/edit", mine)
		r.want(t, http.StatusConflict, "somebody else has changed the meeting", `name="title" value="Physics"`, `name="version" value="2"`,
			"The title was “Algebra” and is now “Geometry”; you want “Physics”.", "The duration was “1 h” and is now “2 h”.",
			`<option value="2h0m0s" selected>`, `name="was_title" value="Geometry"`, "autofocus")
		got, _ := s.service.Meeting(t.Context(), m.ID)
		if got.Title != "Geometry" {
			t.Errorf("the stale edit was saved: %q", got.Title)
		}
		mine["version"], mine["was_title"] = []string{"2"}, []string{"Geometry"}
		mine["duration"], mine["was_duration"] = []string{"2h0m0s"}, []string{"2h0m0s"}
		s.post(t, "/meetings/"+m.ID+"/edit", mine).want(t, http.StatusSeeOther)
		if got, _ := s.service.Meeting(t.Context(), m.ID); got.Title != "Physics" || got.Duration() != 2*time.Hour {
			t.Errorf("saved again: %q for %s", got.Title, got.Duration())
		}
	})
	t.Run("AStaleEditOfAnOlderPageKeepsWhatWasTyped", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		form := url.Values{"version": {"7"}, "title": {"Physics"}, "starts_at": {m.StartsAt.Format("2006-01-02T15:04")}, "time_zone": {m.TimeZone}, "duration": {"1h0m0s"}}
		s.post(t, "/meetings/"+m.ID+"/edit", form).want(t, http.StatusConflict, `name="title" value="Physics"`, `name="version" value="1"`)
	})
	t.Run("EditFaultsKeepTheInput", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		s.post(t, "/meetings/"+m.ID+"/edit", url.Values{
			"version": {"1"}, "title": {"Moved"}, "starts_at": {"2025-03-30T02:30"}, "time_zone": {"Europe/Berlin"}, "duration": {"1h0m0s"},
		}).want(t, http.StatusUnprocessableEntity, "skip 02:30", `value="Moved"`, `<a href="#edit-starts-at">Date and time</a>`, "autofocus", `<details id="edit" hx-morph-skip open>`)
	})
	t.Run("EndSaysSoAndTwiceIsFine", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t, "start", "now")
		s.get(t, "/meetings/"+m.ID).want(t, 200, "End now")
		for range 2 {
			s.post(t, "/meetings/"+m.ID+"/end", nil).want(t, http.StatusSeeOther)
		}
		r := s.get(t, "/meetings/"+m.ID)
		r.want(t, 200, "The organiser ended the meeting.")
		if strings.Contains(r.body, "End now") || strings.Contains(r.body, m.Seats[0].Key) {
			t.Error("an ended meeting still offers what cannot be done")
		}
	})
	t.Run("ReissueReplacesTheLink", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		s.post(t, "/meetings/"+m.ID+"/seats/student/key", nil).want(t, http.StatusSeeOther)
		r := s.get(t, "/meetings/"+m.ID)
		if strings.Contains(r.body, m.Seats[1].Key) || !strings.Contains(r.body, m.Seats[0].Key) {
			t.Error("the student's link should be new and the teacher's the same")
		}
	})
}
