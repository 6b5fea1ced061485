package dynamostore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"greenroom"
)

// Change says that a meeting was saved or removed. It does not say what became of it: whoever follows it reads the meeting,
// and so never acts on an older revision than the one before it, in whatever order changes come.
type Change struct {
	Meeting  string
	Sequence string // of its record in the stream
}

// Response names what of a batch is to come again, in the form in which Lambda wants it
// (ReportBatchItemFailures). With none, all is done.
type Response struct {
	Failures []Failure `json:"batchItemFailures"`
}

// Failure is one record of a batch.
type Failure struct {
	Item string `json:"itemIdentifier"`
}

// streamEvent is what Lambda hands on of a stream.
type streamEvent struct {
	Records []struct {
		Source string `json:"eventSource"`
		Change struct {
			Keys     map[string]struct{ S string }
			Sequence string `json:"SequenceNumber"`
		} `json:"dynamodb"`
	} `json:"Records"`
}

// Changes reads a batch of the table's stream as Lambda hands it on. Records of items that are no meetings are passed
// over. What is no such batch is a UserError.
func Changes(event []byte) ([]Change, error) {
	var in streamEvent
	if err := json.Unmarshal(event, &in); err != nil {
		return nil, foreign(err)
	}
	var out []Change
	for i, r := range in.Records {
		pk, sk := r.Change.Keys[partition].S, r.Change.Keys[sorting].S
		if r.Source != "aws:dynamodb" || r.Change.Sequence == "" || pk == "" {
			return nil, foreign(fmt.Errorf("record %d is of %q, with sequence number %q", i, r.Source, r.Change.Sequence))
		}
		out = appendChange(out, pk, sk, r.Change.Sequence)
	}
	if len(in.Records) == 0 {
		return nil, foreign(errors.New("it has no records"))
	}
	return out, nil
}

func foreign(err error) error {
	return &greenroom.UserError{
		Message: "This event is not from the stream of greenroom's table: see which stream the function is mapped to.",
		Cause:   errors.Join(greenroom.ErrPermanent, err),
	}
}

func appendChange(out []Change, pk, sk, sequence string) []Change {
	id, ok := strings.CutPrefix(pk, ofMeeting)
	if !ok || sk != meetingSort {
		return out
	}
	return append(out, Change{Meeting: id, Sequence: sequence})
}

// followers bounds how many meetings are followed at once.
const followers = 16

// Follow calls each once for every meeting that has changed, some at once, and returns what is to come again because it
// failed, with the reasons.
func Follow(ctx context.Context, changes []Change, each func(ctx context.Context, meeting string) error) (Response, error) {
	first := map[string]Change{}
	var order []Change
	for _, c := range changes {
		if _, known := first[c.Meeting]; !known {
			first[c.Meeting] = c
			order = append(order, c)
		}
	}
	var mu sync.Mutex
	failed := map[string]error{}
	var all errgroup.Group
	all.SetLimit(followers)
	for _, c := range order {
		all.Go(func() error {
			if err := each(ctx, c.Meeting); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[c.Sequence] = fmt.Errorf("meeting %s: %w", c.Meeting, err)
			}
			return nil
		})
	}
	_ = all.Wait()
	out, errs := Response{Failures: []Failure{}}, []error{}
	for _, c := range order {
		if err := failed[c.Sequence]; err != nil {
			out.Failures, errs = append(out.Failures, Failure{c.Sequence}), append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

// from returns the changes from the first that failed on.
func (r Response) from(changes []Change) []Change {
	at := slices.IndexFunc(changes, func(c Change) bool {
		return slices.Contains(r.Failures, Failure{c.Sequence})
	})
	if at < 0 {
		return nil
	}
	return changes[at:]
}
