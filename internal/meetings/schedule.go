package meetings

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// Bounds of what an organiser may ask for.
const (
	maxAhead    = 366 * 24 * time.Hour // a start may lie this far ahead
	maxPast     = 5 * time.Minute      // slow forms and slow clocks
	minDuration = time.Minute
)

// Schedule makes a meeting, or returns the one that the same idempotency key made before. Faults of the
// input come as one InvalidError.
func (s *Service) Schedule(ctx context.Context, in Schedule, idempotencyKey string) (greenroom.Meeting, bool, error) {
	now := s.Now().UTC()
	idem := store.Idempotency{}
	if idempotencyKey != "" {
		idem = store.Idempotency{Key: idempotencyKey, Fingerprint: fingerprint(in), At: now}
	}
	m, err := s.draft(in, now)
	if err != nil {
		return s.repeated(ctx, idem, err)
	}
	event := greenroom.Event{At: now, Kind: greenroom.EventScheduled, Message: "The meeting was scheduled.",
		Data: map[string]string{"starts_at": m.StartsAt.Format(time.RFC3339), "ends_at": m.EndsAt.Format(time.RFC3339)}}
	saved, created, err := s.Store.Create(ctx, m, []greenroom.Event{event}, idem)
	if err != nil {
		return greenroom.Meeting{}, false, err
	}
	if created {
		s.Kick(saved.ID)
	}
	return saved, created, nil
}

// repeated answers a request that is not valid now: if it was when its key was used first, that answer is repeated.
func (s *Service) repeated(ctx context.Context, idem store.Idempotency, fault error) (greenroom.Meeting, bool, error) {
	if idem.Key == "" {
		return greenroom.Meeting{}, false, fault
	}
	m, err := s.Store.First(ctx, idem)
	if errors.Is(err, greenroom.ErrNotFound) {
		err = fault
	}
	return m, false, err
}

func fingerprint(in Schedule) string {
	sum := sha256.Sum256(fingerprintText(in))
	return hex.EncodeToString(sum[:])
}

// fingerprintText must stay what it is: a key that was used with a version before names the same request now.
func fingerprintText(in Schedule) []byte {
	doc, _ := json.Marshal(in) // plain strings and slices always marshal
	return doc
}

// draft validates in and builds the meeting it asks for.
func (s *Service) draft(in Schedule, now time.Time) (greenroom.Meeting, error) {
	var bad greenroom.InvalidError
	m := greenroom.Meeting{ID: s.NewID(), Version: 1, CreatedAt: now, WakeAt: now}
	m.Title = title(in.Title, &bad)
	m.TimeZone = timeZone(orElse(in.TimeZone, "UTC"), &bad)
	name := orElse(in.Blueprint, "default")
	b, known := s.blueprint(name)
	if !known {
		bad.Add("blueprint", "there is no blueprint %q; there is %s", clip(name), s.blueprintNames())
	}
	m.Blueprint = b
	m.StartsAt = start(in.StartsAt, now, &bad)
	length := duration("duration", orElse(in.Duration, "1h"), &bad)
	m.EndsAt = m.StartsAt.Add(length)
	if known {
		s.seatAll(&m, in.Seats, now, &bad)
	}
	if len(bad.Fields) == 0 {
		checkTimes(&m, now, "duration", &bad)
	}
	return m, bad.Err()
}

func (s *Service) blueprintNames() string {
	names := make([]string, 0, len(s.Options.Blueprints))
	for _, b := range s.Options.Blueprints {
		names = append(names, b.Name)
	}
	return strings.Join(names, ", ")
}

func start(text string, now time.Time, bad *greenroom.InvalidError) time.Time {
	if text == "now" {
		return now.Truncate(time.Second)
	}
	t := instant("starts_at", text, ` or "now"`, bad)
	switch {
	case t.IsZero():
	case t.Before(now.Add(-maxPast)):
		bad.Add("starts_at", "the start lies in the past; give a time from now on, or \"now\"")
	case t.After(now.Add(maxAhead)):
		bad.Add("starts_at", "the start lies more than a year ahead; give a nearer one")
	}
	return t
}

func duration(field, text string, bad *greenroom.InvalidError) time.Duration {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		bad.Add(field, "give a duration such as 45m or 1h30m; %q is not one", clip(text))
	case d < minDuration:
		bad.Add(field, "a meeting lasts at least %s", greenroom.Duration(minDuration))
	}
	return d
}

// checkTimes holds the meeting against the rules of its blueprint. endField is the input that set the end.
func checkTimes(m *greenroom.Meeting, now time.Time, endField string, bad *greenroom.InvalidError) {
	if longest := m.Blueprint.Rules.LongestMeeting(); m.Duration() > longest {
		bad.Add(endField, "a meeting of blueprint %q lasts at most %s, so that its machines live from lead to overtime within kill_after", m.Blueprint.Name, greenroom.Duration(longest))
	}
	if m.Duration() < minDuration {
		bad.Add(endField, "a meeting lasts at least %s", greenroom.Duration(minDuration))
	}
	if !m.EndsAt.After(now) {
		bad.Add(endField, "the meeting would be over already; give a later end")
	}
}

// checkPerson judges the name and the address of a seat's participant. Prefix is what the fields are below.
func checkPerson(prefix, name, address string, bad *greenroom.InvalidError) {
	line(prefix+"name", "a name", name, MaxName, bad)
	email(prefix+"email", address, bad)
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// clip bounds what an error repeats of its input.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
