package awsscheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"greenroom"
	guard "greenroom/internal/scheduler"
)

// Response names the messages of a batch that are to come again, in the form in which Lambda wants it
// (ReportBatchItemFailures).
type Response struct {
	Failures []Failure `json:"batchItemFailures"`
}

// Failure is one message of a batch.
type Failure struct {
	Item string `json:"itemIdentifier"`
}

// ring is one wake as it arrived: by a schedule, without a message, or in a message of the queue.
type ring struct {
	Wake
	message string
	err     error // why it cannot be read
}

const (
	// soon is close enough: a pass that begins this much early waits no worse than one in the queue would.
	soon = 500 * time.Millisecond
	// together bounds the passes of one batch at once.
	together = 10
)

// Calls are what a wake may ask for.
type Calls struct {
	Advance func(ctx context.Context, meeting string) error // its time has come
	Look    func(ctx context.Context, meeting string) error // it was kicked
	Sweep   func(ctx context.Context) error
}

// Answer takes what woke the function, which a schedule or the queue may have done. It advances each meeting whose time
// has come, and sets the wake again of one that was woken early. The error holds every reason for a failure. Without a
// message to name it, a failure is in the error alone.
func (s *Scheduler) Answer(ctx context.Context, event []byte, do Calls) (Response, error) {
	rings, err := readRings(event)
	out := Response{Failures: []Failure{}}
	if err != nil {
		return out, err
	}
	var mu sync.Mutex
	var errs []error
	var all errgroup.Group
	all.SetLimit(together)
	for _, r := range rings {
		all.Go(func() error {
			if err := s.answer(ctx, r, do); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
				if r.message != "" {
					out.Failures = append(out.Failures, Failure{r.message})
				}
			}
			return nil
		})
	}
	_ = all.Wait()
	return out, errors.Join(errs...)
}

func (s *Scheduler) answer(ctx context.Context, r ring, do Calls) error {
	switch {
	case r.err != nil:
		return r.err
	case r.Sweep:
		return do.Sweep(ctx)
	}
	move := do.Look
	if !r.Kick {
		if due, err := s.due(ctx, r.Wake); err != nil || !due {
			return err
		}
		move = do.Advance
	}
	if err := guard.Guarded(ctx, move, r.Meeting); err != nil && !errors.Is(err, greenroom.ErrNotFound) {
		return fmt.Errorf("answer the wake of meeting %s: %w", r.Meeting, err)
	}
	return nil
}

// due reports whether the time of the wake has come. Of one that is early the wake is set again; one of an older revision
// is nobody's.
func (s *Scheduler) due(ctx context.Context, w Wake) (bool, error) {
	m, err := s.Meetings.Meeting(ctx, w.Meeting)
	at := wakeOf(m)
	switch {
	case errors.Is(err, greenroom.ErrNotFound), err == nil && at.IsZero(), err == nil && w.Rev != 0 && w.Rev != m.Rev:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("answer the wake of meeting %s: %w", w.Meeting, err)
	case at.Sub(s.Now()) <= soon:
		return true, nil
	}
	if err := s.set(ctx, m); err != nil {
		return false, fmt.Errorf("set the wake of meeting %s again: %w", w.Meeting, s.explain(ctx, err))
	}
	return false, nil
}

// readRings reads a schedule's own input, or a batch of the queue's messages. Anything else is a UserError. A message that
// cannot be read fails by itself, and so ends among the dead letters.
func readRings(event []byte) ([]ring, error) {
	var in struct {
		Wake
		Records []struct {
			ID     string `json:"messageId"`
			Source string `json:"eventSource"`
			Body   string `json:"body"`
		} `json:"Records"`
	}
	if err := json.Unmarshal(event, &in); err != nil {
		return nil, foreign(err)
	}
	if len(in.Records) == 0 {
		return []ring{{Wake: in.Wake}}, valid(in.Wake)
	}
	out := make([]ring, len(in.Records))
	for i, r := range in.Records {
		if r.Source != "aws:sqs" || r.ID == "" {
			return nil, foreign(fmt.Errorf("record %d is of %q", i, r.Source))
		}
		out[i].message = r.ID
		if out[i].err = json.Unmarshal([]byte(r.Body), &out[i].Wake); out[i].err == nil {
			out[i].err = valid(out[i].Wake)
		} else {
			out[i].err = foreign(out[i].err)
		}
	}
	return out, nil
}

func valid(w Wake) error {
	if w.Sweep {
		return nil
	}
	if !greenroom.ValidMeetingID(w.Meeting) {
		return foreign(fmt.Errorf("%.40q is no meeting's id", w.Meeting))
	}
	return nil
}

func foreign(err error) error {
	return &greenroom.UserError{
		Message: "This event is not a wake of greenroom's: see what calls the function.",
		Cause:   errors.Join(greenroom.ErrPermanent, err),
	}
}
