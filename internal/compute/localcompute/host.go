package localcompute

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/procs"
)

// host runs the desktops of a directory. It is made by the one process that holds the directory's lock.
type host struct {
	opts Options
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	instances map[string]*instance
	removed   map[string]time.Time // ids whose tokens are used up, and since when
	addresses addresses
}

// usedUpFor is how long a token of a removed instance launches nothing: much longer than any call is on its way.
const usedUpFor = 10 * time.Minute

var errClosed = errors.New("the provider is closed")

// instance is one desktop as this process knows it. What must survive is in its record.
type instance struct {
	id  string
	dir string

	launched chan struct{} // closed when the launch has gone well or wrong; from then on the agent does not change
	agent    procs.Process // zero if it does not run
	cmd      *exec.Cmd     // nil if another process started it

	writing sync.Mutex // of the record's file

	// Guarded by host.mu.
	record record
	state  compute.State
}

// newHost takes up the desktops that live in o.Dir and the removals that were not finished. What is in the
// directory and not greenroom's is left alone.
func newHost(o Options) (*host, error) {
	ctx, stop := context.WithCancel(context.Background())
	h := &host{opts: o, ctx: ctx, stop: stop, instances: map[string]*instance{}, removed: map[string]time.Time{}}
	if err := h.recover(); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// close ends what the host does, and leaves its desktops running.
func (h *host) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	h.wg.Wait()
}

// Launch is Provider's.
func (h *host) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	outcomes := make([]compute.Outcome, len(requests))
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() { outcomes[i].Instance, outcomes[i].Err = h.launch(ctx, r) })
	}
	wg.Wait()
	return outcomes
}

func (h *host) launch(ctx context.Context, r compute.Request) (compute.Instance, error) {
	if err := errors.Join(installed(), writable(), ended(ctx)); err != nil {
		return compute.Instance{}, err
	}
	i, ours, err := h.claim(ctx, r)
	if err != nil {
		return compute.Instance{}, err
	}
	if i == nil {
		return compute.Instance{ID: greenroom.InstanceIDFromToken(r.Handle.Token()), Handle: r.Handle, State: compute.Terminated}, nil
	}
	if ours {
		defer h.wg.Done()
		err = limited(h.birth(ctx, i, r))
		close(i.launched)
		if err != nil {
			h.forget(i)
			return compute.Instance{}, fmt.Errorf("launch %s: %w", i.id, err)
		}
		h.watch(i)
		return h.seen(i), nil
	}
	select {
	case <-ctx.Done():
		return compute.Instance{}, ctx.Err()
	case <-i.launched:
	}
	if !h.known(i) {
		return compute.Instance{}, fmt.Errorf("launch %s: its first launch failed", i.id)
	}
	return h.seen(i), nil
}

// ended is why ctx is over, if it is. The clock is asked as well: a process that was stopped goes on before its
// timers fire, and they stand still while the machine sleeps.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if deadline, ok := ctx.Deadline(); ok && past(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// past asks both clocks that a time may have been read from.
func past(t time.Time) bool {
	now := time.Now()
	return !now.Before(t) || !now.Round(0).Before(t.Round(0))
}

// claim returns the instance of the request's token, and whether the caller has to bring it to life; nil if it was
// removed already. Close waits for that caller, who says when it is done.
func (h *host) claim(ctx context.Context, r compute.Request) (i *instance, ours bool, err error) {
	id := greenroom.InstanceIDFromToken(r.Handle.Token())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false, fmt.Errorf("launch: %w", errClosed)
	}
	if i := h.instances[id]; i != nil {
		return i, false, nil
	}
	if _, ok := h.removed[id]; ok {
		return nil, false, nil
	}
	i = &instance{id: id, dir: filepath.Join(h.opts.Dir, id), launched: make(chan struct{}), state: compute.Pending,
		record: record{Token: r.Handle.Token(), KillAt: r.KillAt, LaunchedAt: time.Now().UTC()}}
	i.record.LaunchBy, _ = ctx.Deadline()
	h.instances[id] = i
	h.wg.Add(1)
	return i, true, nil
}

// birth writes the intent, and then starts the agent; neither once ctx has ended.
func (h *host) birth(ctx context.Context, i *instance, r compute.Request) error {
	ln, err := h.addresses.reserve(h.opts.Port)
	if err != nil {
		return err
	}
	defer ln.Close()
	h.mu.Lock()
	i.record.Address = ln.Addr().(*net.TCPAddr).IP.String()
	h.mu.Unlock()
	if err := ended(ctx); err != nil {
		return err
	}
	if err := h.create(i, r); err != nil {
		return err
	}
	if err := h.start(ctx, i, ln); err != nil {
		return errors.Join(err, h.discard(i))
	}
	return nil
}

// List is Provider's. It reads nothing but memory.
func (h *host) List(_ context.Context, meeting string) ([]compute.Instance, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []compute.Instance
	for _, i := range h.instances {
		if seen := i.seen(); meeting == "" || seen.Handle.Meeting == meeting {
			list = append(list, seen)
		}
	}
	slices.SortFunc(list, func(a, b compute.Instance) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// Terminate is Provider's.
func (h *host) Terminate(_ context.Context, ids ...string) error {
	var errs []error
	for _, id := range ids {
		errs = append(errs, h.terminate(id))
	}
	return errors.Join(errs...)
}

func (h *host) terminate(id string) error {
	i, err := h.condemn(id)
	if i == nil || err != nil {
		return err
	}
	defer h.wg.Done()
	// The request is accepted once it would survive this process. Where there is no directory yet, or no more,
	// there is nothing to survive either.
	err = h.note(i, func() { i.record.Removing = true })
	h.wg.Go(func() { h.remove(i) })
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// condemn returns the instance with that id, if it is there and not being removed already. The caller removes
// it, and Close waits for that.
func (h *host) condemn(id string) (*instance, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instances[id]
	if i == nil || i.state == compute.ShuttingDown {
		return nil, nil
	}
	if h.closed {
		return nil, fmt.Errorf("terminate %s: %w", id, errClosed)
	}
	i.state = compute.ShuttingDown
	h.wg.Add(1)
	return i, nil
}

// seen is the instance as callers see it.
func (i *instance) seen() compute.Instance {
	h, _ := greenroom.ParseHandle(i.record.Token) // the zero handle if the record could not be read
	return compute.Instance{ID: i.id, Handle: h, State: i.state, Address: i.record.Address, LaunchedAt: i.record.LaunchedAt}
}

func (h *host) seen(i *instance) compute.Instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	return i.seen()
}

func (h *host) known(i *instance) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.instances[i.id] == i
}

func (h *host) forget(i *instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.instances[i.id] == i {
		delete(h.instances, i.id)
	}
}

// bury forgets an instance that was removed, and remembers that its token is used up.
func (h *host) bury(i *instance) {
	h.forget(i)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(h.removed, func(_ string, at time.Time) bool { return now.Sub(at) > usedUpFor })
	h.removed[i.id] = now
}

// installed is a permanent error that says what to install, if something is missing.
func installed() error {
	var programs, packages []string
	for _, need := range [][2]string{{"Xtigervnc", "tigervnc-standalone-server"}, {"openbox", "openbox"}} {
		if _, err := exec.LookPath(need[0]); err != nil {
			programs, packages = append(programs, need[0]), append(packages, need[1])
		}
	}
	if len(programs) == 0 {
		return nil
	}
	return &greenroom.UserError{Cause: greenroom.ErrPermanent, Message: fmt.Sprintf(
		"Desktops on this machine need %s. Install what is missing: apt-get install %s.", strings.Join(programs, " and "), strings.Join(packages, " "))}
}
