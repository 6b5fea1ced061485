package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
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
			problem(t, r.call(method, "/api/v1/join/zzzzzzzzzzzzzzzz/teacher?"+key, nil), 404)
		}
	})
}

func TestJoinLimits(t *testing.T) {
	t.Parallel()

	t.Run("GuessersAreStoppedAndOthersAreNot", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		m := r.scheduled()
		inside, newcomer := r.join(m, "teacher"), r.join(m, "student")
		doc[wire.Standing](t, r.call("GET", inside, nil), 202)
		wrong, _, _ := strings.Cut(inside, "?")
		for range httpx.DefaultJoinRates().WrongBurst {
			problem(t, r.call("GET", wrong+"?key=guess", nil), 403)
		}
		if a := r.call("GET", wrong+"?key=guess", nil); a.header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After")
		} else {
			problem(t, a, 429)
		}
		problem(t, r.call("GET", newcomer, nil), 429) // not even looked at: nothing can be learned
		doc[wire.Standing](t, r.call("GET", inside, nil), 202)
	})

	t.Run("OneLinkCannotHammerTheDoorButMayLook", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(s *setup) {
			rates := httpx.DefaultJoinRates()
			rates.Every, rates.Burst = time.Hour, 3
			s.api.Join = httpx.NewJoinLimits(rates)
		})
		m := r.scheduled()
		for range 3 {
			doc[wire.Standing](t, r.call("POST", r.join(m, "teacher"), nil), 202)
		}
		problem(t, r.call("POST", r.join(m, "teacher"), nil), 429)
		doc[wire.Standing](t, r.call("POST", r.join(m, "student"), nil), 202)
		for range 100 {
			doc[wire.Standing](t, r.call("GET", r.join(m, "teacher"), nil), 202)
		}
	})
}
