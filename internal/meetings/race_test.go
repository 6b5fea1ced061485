package meetings_test

import (
	"context"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// raced is a store in which somebody else saves right before the first update.
type raced struct {
	store.Store
	first func()
}

func (r *raced) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	if f := r.first; f != nil {
		r.first = nil
		f()
	}
	return r.Store.Update(ctx, m, events)
}

// moved is a meeting that was moved to another day while its desktop was ready: the next attempt is planned.
func (b *bundle) moved(id, role string) func() {
	return func() {
		b.alter(id, func(m *greenroom.Meeting) {
			d := &m.Seat(role).Desktop
			*d = d.NextAttempt(time.Now())
		})
	}
}

// TestNobodyIsSentToADesktopThatWentMeanwhile is about the race of an entry with the end of the desktop.
func TestNobodyIsSentToADesktopThatWentMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	b.stand(m.ID, "student", greenroom.Ready)
	b.Store = &raced{b.store, b.moved(m.ID, "student")}
	st, err := b.Enter(t.Context(), m.ID, "student", m.Seat("student").Key, "192.0.2.7")
	if err != nil || st.URL != "" {
		t.Errorf("sent to %q: %v", st.URL, err)
	}
}

// TestNobodyIsAdmittedToADesktopThatWentMeanwhile is the same at the edge.
func TestNobodyIsAdmittedToADesktopThatWentMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, name := b.placed()
	st, err := b.Enter(t.Context(), m.ID, "teacher", m.Seat("teacher").Key, "192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	b.Store = &raced{b.store, b.moved(m.ID, "teacher")}
	if verdict, pass, err := b.Admit(t.Context(), name, token(t, st.URL), "192.0.2.7"); err != nil || verdict.OK || pass != "" {
		t.Errorf("got %+v, %q: %v", verdict, pass, err)
	}
}
