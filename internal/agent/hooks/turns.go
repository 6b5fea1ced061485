package hooks

import (
	"cmp"
	"context"
	"log/slog"
	"os/exec"
	"path/filepath"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/link"
	"greenroom/internal/backoff"
	"greenroom/internal/logkey"
)

// Turns runs a desktop's hooks at its two turning points, and reports what came of them.
type Turns struct {
	Dir      string          // with warmup.d and end.d; empty: no hooks
	File     string          // where the meeting is written for them
	Env      func() []string // what they are started with, beside the meeting
	WD       string
	Start    func(*exec.Cmd) (wait func() error, err error) // as Run's
	Control  *link.Control
	Identity *link.Identity
	Report   *link.Watched[agentapi.Report]
	Notice   *link.Watched[link.Notice]
	Logger   *slog.Logger
}

// WarmUp runs the warm-up hooks, once the control plane has said what the meeting is.
func (t *Turns) WarmUp(ctx context.Context) error {
	if t.Dir == "" {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.Identity.Enrolled():
	}
	began := time.Now()
	_, err := t.do(ctx, WarmUp, WholeTime)
	if err != nil {
		return err
	}
	t.Logger.Info("warm-up hooks have run", logkey.Duration, time.Since(began))
	after, err := List(filepath.Join(t.Dir, End))
	t.Report.Update(func(r *agentapi.Report) { r.EndHooks = len(after) > 0 })
	return err
}

func (t *Turns) do(ctx context.Context, which string, whole time.Duration) (string, error) {
	e, err := t.Control.Facts()
	if err != nil {
		return "", err
	}
	if n, _ := t.Notice.Get(); !n.EndsAt.IsZero() {
		e.Meeting.EndsAt = n.EndsAt // it may have been moved
	}
	if err := Describe(t.File, e.Meeting, e.Hostname); err != nil {
		return "", err
	}
	run := Run{Dir: filepath.Join(t.Dir, which), Env: Environ(t.Env(), e.Meeting, e.Hostname, t.File), WD: t.WD, Each: min(whole, EachTime), Whole: whole, Start: t.Start}
	if which == End {
		run.Each = whole
	}
	return run.Do(ctx)
}

// Run waits until the desktop is told to go, or until early comes, which is in time before the machine ends itself. Then it
// runs the end hooks and tells the control plane what they say.
func (t *Turns) Run(ctx context.Context, early <-chan time.Time) error {
	if !t.told(ctx, early) {
		return nil
	}
	if r, _ := t.Report.Get(); !r.EndHooks {
		return nil
	}
	e, err := t.Control.Facts()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.WrapUp.Duration())
	defer cancel()
	line, err := t.do(ctx, End, e.WrapUp.Duration())
	problem := ""
	switch {
	case err != nil:
		t.Logger.Warn("end hooks failed", logkey.Err, err)
		problem = greenroom.Sentence(err, "The end hooks could not be run.")
	case SessionData(line) != "":
		t.send(ctx, SessionData(line))
	}
	t.Report.Update(func(r *agentapi.Report) { r.Ended, r.Problem = true, cmp.Or(problem, r.Problem) })
	return nil
}

// told waits for the order to go.
func (t *Turns) told(ctx context.Context, early <-chan time.Time) bool {
	for {
		n, changed := t.Notice.Get()
		if n.Ending != "" {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-early:
			return true
		case <-changed:
		}
	}
}

// send tells where the session's data lies, again and again while there is time.
func (t *Turns) send(ctx context.Context, where string) {
	for pause := backoff.Every(100*time.Millisecond, 5*time.Second); ; {
		err := t.Control.SessionData(ctx, where)
		if err == nil {
			t.Logger.Info("session data reported", logkey.URL, where)
			return
		}
		t.Logger.Warn("session data could not be reported", logkey.Err, err)
		if !pause.Wait(ctx) {
			return
		}
	}
}
