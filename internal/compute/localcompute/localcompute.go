// Package localcompute gives seats desktops on this machine: for each an agent process with a loopback
// address of its own. Desktops outlive the control plane, however it ends, and are found again by the next
// Provider on the same directory. Linux only.
package localcompute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// Options say where and how desktops are run.
type Options struct {
	Dir        string                 // of all desktops; one Provider at a time owns it
	Executable string                 // the greenroom binary; its "agent --dir DIR" is one desktop's agent
	ControlURL string                 // where the control plane answers now; told to the desktops that are found
	Environ    []string               // as os.Environ: PATH, LANG, LC_* and TZ reach the desktops
	Port       int                    // desktops answer on it; 0 is 8443
	OnChange   func(meetingID string) // called when an instance of the meeting died or is gone; may be nil
	Logger     *slog.Logger
}

// Provider is compute.Provider on this machine.
type Provider struct {
	opts Options
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	instances map[string]*instance
	addresses addresses
}

var _ compute.Provider = (*Provider)(nil)

// instance is one desktop as this process knows it. What must survive is in its record.
type instance struct {
	id  string
	dir string

	launched chan struct{} // closed when the launch has gone well or wrong; from then on the agent does not change
	agent    procs.Process // zero if it does not run
	cmd      *exec.Cmd     // nil if another process started it

	writing sync.Mutex // of the record's file

	// Guarded by Provider.mu.
	record record
	state  compute.State
}

// New opens the provider, takes up the desktops that live in o.Dir and the removals that were not finished.
// What is in the directory and not greenroom's is left alone.
func New(o Options) (*Provider, error) {
	if o.Port == 0 {
		o.Port = 8443
	}
	if o.OnChange == nil {
		o.OnChange = func(string) {}
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the desktops: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Provider{opts: o, ctx: ctx, stop: stop, instances: map[string]*instance{}}
	if err := p.recover(); err != nil {
		stop()
		p.wg.Wait()
		return nil, err
	}
	return p, nil
}

// Close ends what the provider does, and leaves its desktops running.
func (p *Provider) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	p.wg.Wait()
}

// Launch implements compute.Provider.
func (p *Provider) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	outcomes := make([]compute.Outcome, len(requests))
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() { outcomes[i].Instance, outcomes[i].Err = p.launch(ctx, r) })
	}
	wg.Wait()
	return outcomes
}

func (p *Provider) launch(ctx context.Context, r compute.Request) (compute.Instance, error) {
	if err := installed(); err != nil {
		return compute.Instance{}, err
	}
	i, ours, err := p.claim(r)
	if err != nil {
		return compute.Instance{}, err
	}
	if ours {
		defer p.wg.Done()
		err = p.birth(i, r)
		close(i.launched)
		if err != nil {
			p.forget(i)
			return compute.Instance{}, fmt.Errorf("launch %s: %w", i.id, err)
		}
		p.watch(i)
		return p.seen(i), nil
	}
	select {
	case <-ctx.Done():
		return compute.Instance{}, ctx.Err()
	case <-i.launched:
	}
	if !p.known(i) {
		return compute.Instance{}, fmt.Errorf("launch %s: the first launch of it went wrong", i.id)
	}
	return p.seen(i), nil
}

// claim returns the instance of the request's token, and whether the caller has to bring it to life. Close
// waits for that caller, who says when it is done.
func (p *Provider) claim(r compute.Request) (i *instance, ours bool, err error) {
	id := greenroom.InstanceIDFromToken(r.Handle.Token())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, errors.New("launch: the provider is closed")
	}
	if i := p.instances[id]; i != nil {
		return i, false, nil
	}
	i = &instance{id: id, dir: filepath.Join(p.opts.Dir, id), launched: make(chan struct{}), state: compute.Pending,
		record: record{Token: r.Handle.Token(), KillAt: r.KillAt, LaunchedAt: time.Now().UTC()}}
	p.instances[id] = i
	p.wg.Add(1)
	return i, true, nil
}

// birth writes the intent, and then starts the agent.
func (p *Provider) birth(i *instance, r compute.Request) error {
	ln, err := p.addresses.reserve(p.opts.Port)
	if err != nil {
		return err
	}
	defer ln.Close()
	p.mu.Lock()
	i.record.Address = ln.Addr().(*net.TCPAddr).IP.String()
	p.mu.Unlock()
	if err := p.create(i, r); err != nil {
		return err
	}
	if err := p.start(i, ln); err != nil {
		return errors.Join(err, os.RemoveAll(i.dir))
	}
	return nil
}

// List implements compute.Provider. It reads nothing but memory.
func (p *Provider) List(_ context.Context, meeting string) ([]compute.Instance, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []compute.Instance
	for _, i := range p.instances {
		if seen := i.seen(); meeting == "" || seen.Handle.Meeting == meeting {
			list = append(list, seen)
		}
	}
	slices.SortFunc(list, func(a, b compute.Instance) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// Terminate implements compute.Provider.
func (p *Provider) Terminate(_ context.Context, ids ...string) error {
	var errs []error
	for _, id := range ids {
		errs = append(errs, p.terminate(id))
	}
	return errors.Join(errs...)
}

func (p *Provider) terminate(id string) error {
	i, err := p.condemn(id)
	if i == nil || err != nil {
		return err
	}
	defer p.wg.Done()
	// The request is accepted once it would survive this process. Where there is no directory yet, or no more,
	// there is nothing to survive either.
	err = p.note(i, func() { i.record.Removing = true })
	p.wg.Go(func() { p.remove(i) })
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// condemn returns the instance with that id, if it is there and not being removed already. The caller removes
// it, and Close waits for that.
func (p *Provider) condemn(id string) (*instance, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.instances[id]
	if i == nil || i.state == compute.ShuttingDown {
		return nil, nil
	}
	if p.closed {
		return nil, fmt.Errorf("terminate %s: the provider is closed", id)
	}
	i.state = compute.ShuttingDown
	p.wg.Add(1)
	return i, nil
}

// seen is the instance as callers see it.
func (i *instance) seen() compute.Instance {
	h, _ := greenroom.ParseHandle(i.record.Token) // the zero handle if the record could not be read
	return compute.Instance{ID: i.id, Handle: h, State: i.state, Address: i.record.Address, LaunchedAt: i.record.LaunchedAt}
}

func (p *Provider) seen(i *instance) compute.Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return i.seen()
}

func (p *Provider) known(i *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.instances[i.id] == i
}

func (p *Provider) forget(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instances[i.id] == i {
		delete(p.instances, i.id)
	}
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
