package meetings

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"greenroom"
	"greenroom/internal/backoff"
	"greenroom/internal/timezone"
)

// Standing tells a participant the state of the seat. It changes nothing: link previews fetch links.
// ErrNotFound for no such meeting or seat, ErrForbidden for a wrong key, ErrEnded with the standing when
// the meeting is over.
func (s *Service) Standing(ctx context.Context, id, seatID, key string) (Standing, error) {
	m, err := s.Meeting(ctx, id)
	if err != nil {
		return Standing{}, err
	}
	seat, err := admit(&m, seatID, key)
	if err != nil {
		return Standing{}, err
	}
	return s.stand(ctx, &m, seat, s.Now())
}

// Enter lets a participant in: Standing.URL carries a fresh desktop token when a proof of the desktop is fresh. One that has
// expired is asked for, and waited for, for Options.ProofWait. Otherwise it tells when to ask again; a desktop that is gone or has
// failed is asked for anew. Errors as Standing's.
func (s *Service) Enter(ctx context.Context, id, seatID, key, client string) (Standing, error) {
	st, err := s.enter(ctx, id, seatID, key, client)
	if err == nil && st.URL == "" && st.checking && s.proofComes(ctx, id, seatID) {
		return s.enter(ctx, id, seatID, key, client)
	}
	return st, err
}

// UsualProofWait is longer than a look at a desktop usually takes, and shorter than people wait for a page.
const UsualProofWait = 4 * time.Second

// proofComes waits for a fresh proof of the seat's desktop, and reports whether it came.
func (s *Service) proofComes(ctx context.Context, id, seatID string) bool {
	ctx, cancel := context.WithTimeout(ctx, s.ProofWait)
	defer cancel()
	for pause := backoff.Every(20*time.Millisecond, 200*time.Millisecond); pause.Wait(ctx); {
		m, err := s.Meeting(ctx, id)
		seat := m.Seat(seatID)
		if err != nil || seat == nil || !seat.Desktop.Enterable() {
			return false
		}
		if m.Proved(seat, s.Now()) {
			return true
		}
	}
	return false
}

func (s *Service) enter(ctx context.Context, id, seatID, key, client string) (Standing, error) {
	token := ""
	m, err := s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		token = "" // a try before this one may have lost its race
		seat, err := admit(m, seatID, key)
		if err != nil {
			return nil, err
		}
		d := &seat.Desktop
		switch {
		case m.EndReason != "":
			return nil, errUnchanged
		case d.Enterable() && !m.Proved(seat, now):
			return askProof(&seat.AskedAt, &d.Trust, now)
		case d.Enterable():
			token = greenroom.NewSecret()
			d.Tokens = append(trim(d.Tokens, now), greenroom.Token{Hash: greenroom.HashSecret(token), ExpiresAt: now.Add(greenroom.TokenLife)})
			return entered(seat, client, now)
		case wanted(m, seat) && !seat.Requested():
			seat.RequestedAt = now
			s.correct(m, d)
			return []greenroom.Event{{At: now, Kind: greenroom.EventRequested, Seat: seatID, Attempt: d.Attempt,
				Message: nameOf(seat) + " came and the desktop is gone; a new one is asked for.", Data: map[string]string{"client": client}}}, nil
		}
		return nil, errUnchanged
	})
	if err != nil {
		return Standing{}, err
	}
	seat := m.Seat(seatID)
	if seat == nil {
		return Standing{}, fmt.Errorf("seat %q: %w", clip(seatID), greenroom.ErrNotFound)
	}
	st, err := s.stand(ctx, &m, seat, s.Now())
	if token != "" && err == nil {
		st.URL = s.entryURL(&seat.Desktop, token)
	}
	return st, err
}

// askPause is between two requests for a proof of one desktop.
const askPause = 2 * time.Second

// askProof has the plan look at the desktop at once.
func askProof(asked *time.Time, t *greenroom.Trust, now time.Time) ([]greenroom.Event, error) {
	if asked.After(t.LookedAt) && now.Sub(*asked) < askPause {
		return nil, errUnchanged
	}
	*asked = now
	return nil, nil
}

// again is the time within which the same client is given the entry URL once more without another entry on the timeline.
const again = time.Minute

// entered notes that the seat's person at client was given the entry URL. Repetitions are counted, and told by the next entry.
func entered(seat *greenroom.Seat, client string, now time.Time) ([]greenroom.Event, error) {
	d := &seat.Desktop
	if seat.EnteredBy == client && now.Sub(seat.EnteredAt) < again && seat.EnteredAt.After(d.Timings[greenroom.Ready]) {
		seat.EnteredMore++
		return nil, errNoted
	}
	message, data := nameOf(seat)+" was given the entry URL.", map[string]string{"client": client}
	if seat.EnteredMore > 0 {
		message = fmt.Sprintf("%s was given the entry URL, and %d times more since the last such entry.", nameOf(seat), seat.EnteredMore)
		data["more"] = strconv.Itoa(seat.EnteredMore)
	}
	seat.EnteredAt, seat.EnteredBy, seat.EnteredMore = now, client, 0
	return []greenroom.Event{{At: now, Kind: greenroom.EventEntered, Seat: seat.ID, Attempt: d.Attempt, Message: message, Data: data}}, nil
}

// admit finds the seat and checks its key. A wrong id is told apart from a wrong key, since ids are
// no secret; the key is compared in constant time.
func admit(m *greenroom.Meeting, seatID, key string) (*greenroom.Seat, error) {
	seat := m.Seat(seatID)
	if seat == nil {
		return nil, fmt.Errorf("seat %q: %w", clip(seatID), greenroom.ErrNotFound)
	}
	if !greenroom.SameSecret(seat.Key, key) {
		return nil, &greenroom.UserError{Message: "This link is not valid for this seat. Ask the organiser for your own link.", Cause: greenroom.ErrForbidden}
	}
	return seat, nil
}

// trim drops tokens that can no longer be used, and the oldest beyond the bound.
func trim(tokens []greenroom.Token, now time.Time) []greenroom.Token {
	kept := slices.DeleteFunc(slices.Clone(tokens), func(t greenroom.Token) bool { return t.Client == "" && t.ExpiresAt.Before(now) })
	return kept[max(0, len(kept)-greenroom.MaxTokens+1):]
}

// wanted reports whether a person who comes now should get a new desktop.
func wanted(m *greenroom.Meeting, seat *greenroom.Seat) bool {
	p := seat.Desktop.Phase
	return m.EndReason == "" && !seat.Replacing() && (p == greenroom.Gone || p == greenroom.Terminating || p == greenroom.Failed)
}

// stand describes the seat for its participant.
func (s *Service) stand(ctx context.Context, m *greenroom.Meeting, seat *greenroom.Seat, now time.Time) (Standing, error) {
	d := &seat.Desktop
	st := Standing{
		Meeting: m.ID, Title: m.Title, Seat: seat.ID, Role: seat.Role, Name: seat.Name, State: m.State(), Phase: d.Phase, EndReason: m.EndReason,
		StartsAt: m.StartsAt, EndsAt: m.EndsAt, TimeZone: timezone.Today(m.TimeZone), OpensAt: m.LaunchAt(), VideoURL: s.VideoURL(*m),
	}
	if m.EndReason != "" {
		st.Message = m.EndReason.Words().Participant
		return st, &greenroom.UserError{Message: st.Message, Cause: greenroom.ErrEnded}
	}
	st.checking = d.Enterable() && !m.Proved(seat, now)
	st.CanEnter = d.Enterable() && (!st.checking || d.Trust.Failed == 0) // a proof that has expired is taken on the way in
	st.Failing = d.Error != "" && !d.Enterable() || d.Enterable() && !st.CanEnter
	st.Wanted = wanted(m, seat) && !seat.Requested()
	expected := s.history.expected(ctx, m.Blueprint.Name)
	st.Stages, st.Estimate = stages(d, expected, now)
	if d.Phase == greenroom.Planned && st.OpensAt.After(now) {
		st.Estimate += st.OpensAt.Sub(now)
	}
	early := d.Phase == greenroom.Planned && st.OpensAt.After(m.ParkedUntil) // then the parking is over before it matters
	st.Parked = m.ParkedUntil.After(now) && !st.CanEnter && !early
	if st.CanEnter || st.Parked {
		st.Estimate = 0
	}
	st.RetryIn = retryIn(st, now)
	st.Message = message(st, seat, now)
	if st.Parked {
		st.Message = parkedMessage(m, st)
	}
	return st, nil
}

// parkedRetry is how often a lobby asks while its meeting is parked: the end comes without notice, but not soon.
const parkedRetry = 5 * time.Second

// retryIn is short while something is about to happen and long while nothing can.
func retryIn(st Standing, now time.Time) time.Duration {
	if st.Parked {
		return parkedRetry
	}
	if wait := st.OpensAt.Sub(now); st.Phase == greenroom.Planned && wait > 0 {
		return min(max(wait, time.Second), 30*time.Second)
	}
	return time.Second
}

// stages lists the steps of a start and estimates what is left of it.
func stages(d *greenroom.Desktop, expected map[greenroom.Phase]time.Duration, now time.Time) ([]Stage, time.Duration) {
	steps := []greenroom.Phase{greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving}
	current := slices.Index(steps, d.Phase)
	done := d.Enterable()
	var out []Stage
	var left time.Duration
	for i, phase := range steps {
		st := Stage{Phase: phase, Current: i == current, Done: done || i < current, Since: d.Timings[phase], Expected: expected[phase]}
		if st.Current {
			left += max(st.Expected-now.Sub(st.Since), 0)
		} else if !st.Done {
			left += st.Expected
		}
		out = append(out, st)
	}
	return out, left
}
