// Package localcompute gives seats desktops on this machine: for each an agent process with a loopback
// address of its own. Desktops outlive the control plane, however it ends, and are found again by the next
// Provider on the same directory. Linux only.
//
// Several processes may open one directory. The one that holds the directory's lock is the host: it runs the
// desktops, and answers the others over a socket in the directory. When it ends, another takes its place.
package localcompute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/logkey"
)

// Options say where and how desktops are run.
type Options struct {
	Dir        string                 // of all desktops, shared by every process that opens it
	Executable string                 // the greenroom binary; its "agent --dir DIR" is one desktop's agent
	ControlURL string                 // where the control plane answers while this process hosts; told to every desktop
	Environ    []string               // as os.Environ: PATH, LANG, LC_* and TZ reach the desktops
	Port       int                    // desktops answer on it; 0 is 8443
	OnChange   func(meetingID string) // called when an instance of the meeting died or is gone, in the host only: others find out by List; may be nil
	Logger     *slog.Logger
}

// Times of those who share a directory.
const (
	standEvery = 100 * time.Millisecond // between two tries to become the host
	callTime   = 10 * time.Second       // of one call to the host: it may be stopped, or very busy
	gapTime    = 5 * time.Second        // for which a call waits for a host where there is none
	askAgain   = 50 * time.Millisecond
	parting    = 3 * time.Second // for calls of others to end when the host closes
)

// Provider is compute.Provider on this machine, for every process that opens the same directory. Its errors about
// the host (there is none, or it does not answer) are transient.
type Provider struct {
	opts   Options
	place  place
	client *http.Client
	ctx    context.Context
	stop   context.CancelCauseFunc
	stands sync.WaitGroup
	calls  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	hosting *hosting // nil while another process is the host
}

var _ compute.Provider = (*Provider)(nil)

// Open opens the directory, and becomes its host at once unless another process is. If that one ends before
// Close, this process may take its place.
func Open(ctx context.Context, o Options) (*Provider, error) {
	if o.Port == 0 {
		o.Port = greenroom.DesktopPort
	}
	if o.OnChange == nil {
		o.OnChange = func(string) {}
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the desktops: %w", err)
	}
	p := &Provider{opts: o}
	if p.place, err = openPlace(o.Dir); err != nil {
		return nil, err
	}
	p.client = newClient(p.place)
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	became, err := p.becomeHost(ctx)
	if err != nil {
		p.Close()
		return nil, err
	}
	if !became {
		p.stands.Go(p.stand)
	}
	return p, nil
}

// Close leaves the desktops running, and their hosting to whoever else has the directory open.
func (p *Provider) Close() {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	p.mu.Unlock()
	if was {
		return
	}
	p.stop(errClosed)
	p.stands.Wait()
	if p.hosting != nil {
		p.hosting.close()
	}
	p.calls.Wait()
	p.client.CloseIdleConnections()
	p.place.close()
}

// stand tries to become the host until it is or the provider is closed.
func (p *Provider) stand() {
	tick := time.NewTicker(standEvery)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
		}
		became, err := p.becomeHost(p.ctx)
		if became {
			return
		}
		if err == nil {
			continue
		}
		tick.Reset(gapTime)
		if err.Error() != last {
			last = err.Error()
			p.opts.Logger.Error("local desktops could not be taken over", logkey.Err, err)
		}
	}
}

// becomeHost takes the lock, if it is free, and hosts. On an error the lock is free again.
func (p *Provider) becomeHost(ctx context.Context) (bool, error) {
	if taken, err := p.place.take(); !taken {
		return false, err
	}
	listener, err := p.place.listen(ctx)
	if err != nil {
		return false, errors.Join(err, p.place.give())
	}
	h, err := newHost(p.opts)
	if err != nil {
		return false, errors.Join(err, listener.Close(), p.place.give())
	}
	hosting := serve(h, listener)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosting = hosting
	p.opts.Logger.Info("this process hosts the local desktops", logkey.Dir, p.opts.Dir)
	return true, nil
}

// own is the host if it is this process.
func (p *Provider) own() *host {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hosting == nil {
		return nil
	}
	return p.hosting.host
}

// enter notes a call, for which Close waits, and which it ends.
func (p *Provider) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errClosed
	}
	p.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.ctx, func() { cancel(errClosed) })
	return ctx, func() { stop(); cancel(nil); p.calls.Done() }, nil
}

// Launch implements compute.Provider.
func (p *Provider) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	var outcomes []compute.Outcome
	err := p.do(ctx, func(ctx context.Context, h *host) error {
		outcomes = h.Launch(ctx, requests)
		return nil
	}, func(ctx context.Context) (err error) {
		outcomes, err = p.askLaunch(ctx, requests)
		return err
	})
	if err == nil {
		return outcomes
	}
	outcomes = make([]compute.Outcome, len(requests))
	for i := range outcomes {
		outcomes[i].Err = fmt.Errorf("launch %s: %w", requests[i].Handle.Token(), err)
	}
	return outcomes
}

// Places implements compute.Provider: there is this machine only.
func (p *Provider) Places(greenroom.Blueprint) []string { return nil }

// List implements compute.Provider.
func (p *Provider) List(ctx context.Context, meeting string) (list []compute.Instance, err error) {
	err = p.do(ctx, func(ctx context.Context, h *host) (err error) {
		list, err = h.List(ctx, meeting)
		return err
	}, func(ctx context.Context) error { return p.ask(ctx, listPath, meeting, &list) })
	if err != nil {
		return nil, fmt.Errorf("list local desktops: %w", err)
	}
	return list, nil
}

// Terminate implements compute.Provider.
func (p *Provider) Terminate(ctx context.Context, ids ...string) error {
	return p.do(ctx, func(ctx context.Context, h *host) error { return h.Terminate(ctx, ids...) },
		func(ctx context.Context) error { return p.ask(ctx, terminatePath, ids, nil) })
}
