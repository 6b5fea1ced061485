package web_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/notify"
	"greenroom/internal/web"
)

// site is the pages on a fake service, and a browser that follows no redirects.
type site struct {
	*httptest.Server
	service *fakeService
	hub     *notify.Hub
	browser *http.Client
}

func open(t *testing.T, change ...func(*web.Options)) *site {
	t.Helper()
	s := &site{service: newFakeService(), hub: notify.New()}
	o := web.Options{Service: s.service, Hub: s.hub, Logger: slog.New(slog.DiscardHandler), PublicURL: "http://127.0.0.1:8080"}
	for _, f := range change {
		f(&o)
	}
	w, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.Register(mux)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(s.hub.Close)
	jar, _ := cookiejar.New(nil)
	s.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body string
}

func (s *site) do(t *testing.T, r *http.Request) reply {
	t.Helper()
	res, err := s.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res, string(body)}
}

func (s *site) get(t *testing.T, path string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, r)
}

func (s *site) post(t *testing.T, path string, form url.Values) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(t, r)
}

func (r reply) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("status %d, want %d\n%s", r.StatusCode, status, r.body)
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			t.Errorf("the page does not say %q:\n%s", text, r.body)
		}
	}
}

// form is a schedule form with everything right.
func form(changes ...string) url.Values {
	f := url.Values{
		"idempotency_key": {"key-1"}, "title": {"Algebra"}, "start": {"at"}, "starts_at": {"2030-06-01T15:00"}, "time_zone": {"Europe/Berlin"}, "duration": {"1h0m0s"},
		"default.teacher.name": {"Ada"}, "default.student.name": {"Sam"}, "default.student.email": {"sam@example.com"},
	}
	for i := 0; i < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
	}
	return f
}

// scheduled schedules a meeting and returns it.
func (s *site) scheduled(t *testing.T, changes ...string) greenroom.Meeting {
	t.Helper()
	r := s.post(t, "/meetings", form(changes...))
	r.want(t, http.StatusSeeOther)
	m, err := s.service.Meeting(t.Context(), strings.TrimPrefix(r.Header.Get("Location"), "/meetings/"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSchedule(t *testing.T) {
	t.Parallel()

	t.Run("TakesTheTimeInItsZone", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		if want := time.Date(2030, 6, 1, 13, 0, 0, 0, time.UTC); !m.StartsAt.Equal(want) || m.Duration() != time.Hour || m.TimeZone != "Europe/Berlin" {
			t.Errorf("starts at %s for %s in %s, want %s for an hour in Europe/Berlin", m.StartsAt, m.Duration(), m.TimeZone, want)
		}
		if m.Seats[0].Name != "Ada" || m.Seats[1].Email != "sam@example.com" {
			t.Errorf("seats %+v", m.Seats)
		}
	})
	t.Run("StartsNow", func(t *testing.T) {
		t.Parallel()
		m := open(t).scheduled(t, "start", "now", "starts_at", "")
		if since := time.Since(m.StartsAt); since < 0 || since > time.Minute {
			t.Errorf("starts %s ago, want now", since)
		}
	})
	t.Run("SentTwiceIsOneMeeting", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		if a, b := s.scheduled(t), s.scheduled(t); a.ID != b.ID {
			t.Errorf("two meetings, %s and %s", a.ID, b.ID)
		}
	})
	t.Run("FaultsStandBesideTheirFieldsAndInputIsKept", func(t *testing.T) {
		t.Parallel()
		r := open(t).post(t, "/meetings", form("title", "", "default.student.email", "nonsense", "default.teacher.name", "Ada <b>"))
		r.want(t, http.StatusUnprocessableEntity, `id="title-fault">give the meeting a title`, `id="default.student.email-fault">this is no e-mail address`,
			`value="nonsense"`, `value="Ada &lt;b&gt;"`, `value="2030-06-01T15:00"`, `<option selected>Europe/Berlin</option>`)
	})
	t.Run("ATimeThatClocksSkipIsSaid", func(t *testing.T) {
		t.Parallel()
		r := open(t).post(t, "/meetings", form("starts_at", "2025-03-30T02:30"))
		r.want(t, http.StatusUnprocessableEntity, "clocks in Europe/Berlin skip 02:30 on that day")
	})
	t.Run("ATimeThatComesTwiceIsAskedFor", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		s.post(t, "/meetings", form("starts_at", "2025-10-26T02:30")).want(t, http.StatusUnprocessableEntity, "The first 02:30, UTC&#43;2", "The second 02:30, UTC&#43;1")
		m := s.scheduled(t, "starts_at", "2025-10-26T02:30", "fold", "second")
		if want := time.Date(2025, 10, 26, 1, 30, 0, 0, time.UTC); !m.StartsAt.Equal(want) {
			t.Errorf("starts at %s, want %s", m.StartsAt, want)
		}
	})
	t.Run("AFormUsedForAnotherMeetingGetsANewKey", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		s.service.NextErr = greenroom.ErrConflict
		r := s.post(t, "/meetings", form())
		r.want(t, http.StatusConflict, "Send it again to schedule another one")
		if strings.Contains(r.body, `value="key-1"`) {
			t.Error("the key is still the old one")
		}
	})
	t.Run("AFormThatIsTooLargeIsRefused", func(t *testing.T) {
		t.Parallel()
		open(t).post(t, "/meetings", form("title", strings.Repeat("x", 1<<19))).want(t, http.StatusUnprocessableEntity)
	})
	t.Run("ABackendFaultIsAPageWithoutItsDetail", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		s.service.NextErr = io.ErrUnexpectedEOF
		r := s.post(t, "/meetings", form())
		r.want(t, http.StatusInternalServerError, "Internal error")
		if strings.Contains(r.body, "EOF") {
			t.Error("the page shows the operator's detail")
		}
	})
}

func TestWhen(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.get(t, "/when?starts_at=2030-06-01T15:00&time_zone=Asia/Kolkata").want(t, 200, "Sat 1 Jun, 09:30 UTC")
	s.get(t, "/when?starts_at=2025-03-30T02:30&time_zone=Europe/Berlin").want(t, 200, "skip 02:30")
	s.get(t, "/when?starts_at=x&time_zone=Mars/Base").want(t, 200, "Mars/Base")
}

func TestList(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.get(t, "/meetings").want(t, 200, "Nothing is coming up.")
	for i := range 51 {
		s.scheduled(t, "idempotency_key", time.Duration(i).String(), "title", "Lesson "+time.Duration(i).String())
	}
	glance := s.get(t, "/")
	glance.want(t, 200, "All meetings")
	if n := strings.Count(glance.body, `class="row"`); n != 6 {
		t.Errorf("%d rows at a glance, want 6", n)
	}
	first := s.get(t, "/meetings?state=scheduled")
	first.want(t, 200, `href="/meetings?cursor=50&amp;state=scheduled"`)
	if n := strings.Count(first.body, `class="row"`); n != 50 {
		t.Errorf("%d rows on the first page, want 50", n)
	}
	second := s.get(t, "/meetings?state=scheduled&cursor=50")
	if n := strings.Count(second.body, `class="row"`); n != 1 {
		t.Errorf("%d rows on the second page, want 1", n)
	}
	s.get(t, "/meetings?state=in_progress").want(t, 200, "No meeting is going on.")
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.get(t, "/nowhere").want(t, http.StatusNotFound, "There is nothing here")
	s.get(t, "/meetings/zzzzzzzzzzzzzzzz").want(t, http.StatusNotFound)
	s.get(t, "/static/manifest.json").want(t, http.StatusNotFound)
	r := s.post(t, "/join", nil)
	r.want(t, http.StatusNotFound)
	r = s.get(t, "/logout")
	r.want(t, http.StatusMethodNotAllowed, "That does not work here")
	if r.Header.Get("Allow") != "POST" {
		t.Errorf("Allow: %q, want POST", r.Header.Get("Allow"))
	}
}
