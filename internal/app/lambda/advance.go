package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/logkey"
)

// sureFor is how long it is taken for granted that sweeps go on. It is shorter than the time between the two quiet sweeps that
// end them: whoever has just made sure has launched something, which the second of them sees.
const sureFor = 20 * time.Second

var errNoAddress = &greenroom.UserError{
	Message: "public_url is not set: desktops would not know where to report. deploy/aws sets it for every function but http.", Cause: greenroom.ErrPermanent,
}

// advance moves one meeting whose time has come. A machine that changes meanwhile is told of, or missed by the sweep.
func (f *Functions) advance(ctx context.Context, meeting string) error {
	return f.move(ctx, meeting, (*advance.Advancer).Advance)
}

// look moves one meeting of which something was told.
func (f *Functions) look(ctx context.Context, meeting string) error {
	return f.move(ctx, meeting, (*advance.Advancer).Look)
}

// move advances one meeting, and lets each minute be swept while something lives.
func (f *Functions) move(ctx context.Context, meeting string, by func(*advance.Advancer, context.Context, string) error) error {
	if f.control() == "" {
		return errNoAddress
	}
	c, err := f.Core(ctx)
	if err != nil {
		return err
	}
	err = by(c.Advancer, ctx, meeting)
	if f.launched.Swap(false) {
		err = errors.Join(err, f.keepSweeping(ctx))
	}
	return err
}

func (f *Functions) keepSweeping(ctx context.Context) error {
	now := time.Now().UnixNano()
	if last := f.sure.Load(); now-last < sureFor.Nanoseconds() {
		return nil
	}
	if err := f.schedules.Sweep(ctx); err != nil {
		return err
	}
	f.sure.Store(now)
	return nil
}

// What a sweep asks for at most, and when a wake has been waited for long enough.
const (
	mostOverdue = 1000
	overdue     = 2 * time.Minute
	memory      = "last" // of the sweep before this one
	// soonAfter is when one quiet sweep follows another: the hourly one says nothing of the minute before it.
	soonAfter = 5 * time.Minute
)

// sweep compares what exists with what meetings own, and asks for passes that are overdue. The second in a row with nothing
// to look after is the last one until something lives again.
func (f *Functions) sweep(ctx context.Context) error {
	c, err := f.Core(ctx)
	if err != nil {
		return err
	}
	kicks := kicks{meetings: map[string]bool{}}
	files := f.Store.Files("sweep", 24*time.Hour)
	before, err := remembered(files.Load(ctx, memory))
	if err != nil {
		return fmt.Errorf("remember the sweep before: %w", err)
	}
	s := &advance.Sweeper{Store: f.watch().Store(f.Store), Providers: c.Providers, Records: c.Zone, Kick: kicks.add, Now: time.Now, Logger: f.Logger, Seen: before.Seen}
	swept := s.Sweep(ctx)
	errs := []error{swept, f.findOverdue(ctx, &kicks)}
	now := remembrance{Seen: s.Seen}
	if swept == nil && !s.Alive { // one that could not look knows nothing
		now.Quiet = time.Now()
	}
	if doc, err := json.Marshal(now); err == nil {
		errs = append(errs, files.Store(ctx, memory, doc))
	}
	for meeting := range kicks.meetings {
		errs = append(errs, f.schedules.Kick(ctx, meeting))
	}
	if err := errors.Join(errs...); err != nil {
		return err // the next sweep comes as it would have
	}
	switch {
	case s.Alive:
		return f.keepSweeping(ctx)
	case time.Since(before.Quiet) < soonAfter:
		return f.schedules.Rest(ctx)
	}
	return nil
}

// remembrance is what a sweep leaves to the next.
type remembrance struct {
	Seen  map[string]bool `json:"seen"`
	Quiet time.Time       `json:"quiet,omitzero"` // when nothing was there to be looked after
}

func remembered(content []byte, _ time.Time, err error) (remembrance, error) {
	out := remembrance{Seen: map[string]bool{}}
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &out)
	}
	return out, err
}

func (f *Functions) findOverdue(ctx context.Context, kicks *kicks) error {
	due, err := f.Store.Due(ctx, time.Now().Add(-overdue), mostOverdue)
	for _, w := range due {
		f.Logger.Warn("wake was overdue", logkey.Meeting, w.Meeting, logkey.Wake, w.At)
		kicks.add(w.Meeting)
	}
	return err
}

// kicks are meetings that a pass is to be asked for.
type kicks struct {
	mu       sync.Mutex
	meetings map[string]bool
}

func (k *kicks) add(meeting string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.meetings[meeting] = true
}
