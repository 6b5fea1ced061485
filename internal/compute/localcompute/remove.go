package localcompute

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"greenroom/internal/backoff"
	"greenroom/internal/logkey"
	"greenroom/internal/procs"
)

// remove takes everything of the instance away and then forgets it. It tries until that is done or the
// provider is closed; the next provider then goes on.
func (h *host) remove(i *instance) {
	select {
	case <-h.ctx.Done():
		return
	case <-i.launched:
	}
	if !h.known(i) { // the launch failed: there is nothing
		return
	}
	for pause := backoff.Every(50*time.Millisecond, 10*time.Second); ; {
		err := h.removeOnce(i)
		if err == nil {
			break
		}
		if h.ctx.Err() != nil {
			return
		}
		h.opts.Logger.Warn("removal failed; trying again", logkey.Instance, i.id, logkey.Err, err)
		if !pause.Wait(h.ctx) {
			return
		}
	}
	meeting := h.seen(i).Handle.Meeting
	h.bury(i)
	h.opts.Logger.Info("desktop removed", logkey.Instance, i.id, logkey.Meeting, meeting)
	h.opts.OnChange(meeting)
}

func (h *host) removeOnce(i *instance) error {
	if err := h.note(i, func() { i.record.Removing = true }); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // without the note a restart would take the desktop up again
	}
	family, err := h.dismiss(i)
	if err != nil {
		return err
	}
	if err := h.kill(i, family); err != nil {
		return err
	}
	return h.discard(i)
}

// discard removes the instance's directory, which leaves its place whole, so that a crash never leaves half of
// one that looks alive.
func (h *host) discard(i *instance) error {
	old := filepath.Join(h.opts.Dir, halfRemoved+i.id)
	if err := errors.Join(os.RemoveAll(old), os.Rename(i.dir, old)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.RemoveAll(old)
}

// dismiss asks the agent to end its desktop, which it does best itself, and waits. It returns the agent's
// family of before: those that shed the mark can be found later by nothing else.
func (h *host) dismiss(i *instance) ([]procs.Process, error) {
	if i.agent.PID == 0 {
		return nil, nil
	}
	if now, ok := procs.Find(i.agent.PID); !ok || now.Start != i.agent.Start || now.Ended() {
		return nil, nil
	}
	table, err := procs.List()
	if err != nil {
		return nil, err
	}
	family := procs.Descendants(table, i.agent.PID)
	if err := i.agent.Signal(unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(h.ctx, agentGrace)
	defer cancel()
	if err := i.agent.Wait(ctx); err != nil {
		if table, err = procs.List(); err != nil { // it is killed next: who is its family now?
			return nil, err
		}
		family = append(family, procs.Descendants(table, i.agent.PID)...)
	}
	return family, nil
}
