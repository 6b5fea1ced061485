package httpapi_test

import (
	"strings"
	"testing"

	"greenroom/internal/httpapi/wire"
)

func TestJoin(t *testing.T) {
	t.Parallel()

	t.Run("NotYetSaysWhenToAskAgain", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		link := r.join(r.scheduled(), "teacher")
		for _, method := range []string{"GET", "POST"} {
			a := r.call(method, link, nil)
			st := doc[wire.Standing](t, a, 202)
			if a.header.Get("Retry-After") == "" || st.Message == "" || st.Phase != "planned" || len(st.Stages) != 4 || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v %s", method, a.header, a.body)
			}
		}
	})

	t.Run("ReadyIsTheWayIn", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		m := r.scheduled()
		r.ready(m.ID)
		if st := doc[wire.Standing](t, r.call("GET", r.join(m, "teacher"), nil), 200); !st.CanEnter {
			t.Errorf("standing is %+v", st)
		}
		e := doc[map[string]string](t, r.call("POST", r.join(m, "teacher"), nil), 200)
		if !strings.HasPrefix(e["url"], "https://i-") || !strings.HasSuffix(e["url"], "#console") || len(e) != 1 {
			t.Errorf("answer is %v", e)
		}
	})

	t.Run("AskingChangesNothing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		m := r.scheduled()
		r.ready(m.ID)
		before, _ := r.store.Meeting(t.Context(), m.ID)
		r.call("GET", r.join(m, "teacher"), nil)
		if after, _ := r.store.Meeting(t.Context(), m.ID); after.Rev != before.Rev {
			t.Errorf("revision %d became %d", before.Rev, after.Rev)
		}
	})

	t.Run("OnlyTheSeatsOwnKeyOpensIt", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		m := r.scheduled()
		r.ready(m.ID)
		teacher, _, _ := strings.Cut(r.join(m, "teacher"), "?")
		_, key, _ := strings.Cut(r.join(m, "student"), "?")
		for _, method := range []string{"GET", "POST"} {
			problem(t, r.call(method, teacher+"?"+key, nil), 403)
			problem(t, r.call(method, teacher+"?key=nonsense", nil), 403)
			problem(t, r.call(method, teacher, nil), 403)
			if p := problem(t, r.call(method, r.join(m, "teacher")+"&key=other", nil), 422); p.Field != "key" {
				t.Errorf("field is %q", p.Field)
			}
			problem(t, r.call(method, "/api/v1/join/zzzzzzzzzzzzzzzz/teacher?"+key, nil), 404)
		}
	})
}

// TestGuessersShutNobodyOut: whoever shows many wrong links is told so and answered slowly; a right link gets in from the same address.
func TestGuessersShutNobodyOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	inside, newcomer := r.join(m, "teacher"), r.join(m, "student")
	wrong, _, _ := strings.Cut(inside, "?")
	refused := 0
	for range 35 {
		if a := r.call("GET", wrong+"?key=guess", nil); a.status == 429 {
			refused++
			if a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		} else {
			problem(t, a, 403)
		}
	}
	if refused == 0 {
		t.Error("35 wrong links were never too many")
	}
	for _, link := range []string{newcomer, inside} {
		doc[wire.Standing](t, r.call("GET", link, nil), 202)
		doc[wire.Standing](t, r.call("POST", link, nil), 202)
	}
}

// TestOneLinkMayAskOften: a right link is never refused for being used often.
func TestOneLinkMayAskOften(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	for range 100 {
		doc[wire.Standing](t, r.call("POST", r.join(m, "teacher"), nil), 202)
		doc[wire.Standing](t, r.call("GET", r.join(m, "teacher"), nil), 202)
	}
}
