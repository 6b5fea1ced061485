// Package dcvagent is the desktop side of greenroom on a machine with Amazon DCV, on Linux and Windows: it enrols, gives
// DCV its certificate and configuration, runs the operator's hooks, reports who is connected, and ends the machine at its
// kill time, control plane or not. It shares with the control plane only agentapi and the nouns.
package dcvagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/hooks"
	"greenroom/internal/agent/link"
	"greenroom/internal/logkey"
)

// Config is what one machine's agent needs. DefaultPaths gives its paths.
type Config struct {
	UserData string // file with the user data; empty is the instance's metadata
	Metadata string // base URL of that, link-local
	QUIC     bool   // DCV answers over UDP, too
	Paths    Paths
	Environ  []string // as os.Environ: hooks are started with it
	Version  string   // told when enrolling and with every report
	Logger   *slog.Logger
}

// Paths are where things lie on the machine.
type Paths struct {
	Command string // DCV's command line
	Config  string // directory of DCV's certificate, its configuration and what goes with that
	Hooks   string // directory with warmup.d and end.d
	State   string // the agent's own directory
	Address string // where DCV serves, as seen from the machine
}

// dcvAddress is where DCV serves on its own machine, unless Paths say something else.
var dcvAddress = net.JoinHostPort("127.0.0.1", strconv.Itoa(greenroom.DesktopPort))

// Run looks after one machine until ctx ends or the machine is shut down. Only what keeps it from starting at all is an error.
func Run(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(cfg.Paths.State, 0o755); err != nil {
		return fmt.Errorf("make the agent's directory: %w", err)
	}
	born, err := learn(ctx, cfg)
	if err != nil {
		return err
	}
	a, err := open(cfg, born)
	if err != nil {
		return err
	}
	err = a.run(ctx)
	if ctx.Err() == nil && (errors.Is(err, link.ErrKillTime) || errors.Is(err, link.ErrRetired)) {
		cfg.Logger.Info("shutting the machine down", logkey.Reason, err)
		return powerOff(ctx)
	}
	return err
}

// agent is one running agent.
type agent struct {
	Config
	born    birth
	control *link.Control
	key     *link.Identity
	report  *link.Watched[agentapi.Report]
	notice  *link.Watched[link.Notice]
	session *link.Watched[session] // DCV's, as it was seen last
	turns   *hooks.Turns
	pem     []byte                // our key
	chain   *link.Watched[string] // our certificate, installed
}

func open(cfg Config, born birth) (*agent, error) {
	a := &agent{Config: cfg, born: born, report: link.NewWatched(agentapi.Report{Version: cfg.Version}), notice: link.NewWatched(link.Notice{}),
		session: link.NewWatched(session{}), chain: link.NewWatched("")}
	if born.data.Protocol != greenroom.DCV {
		return nil, &greenroom.UserError{Message: fmt.Sprintf("This agent looks after desktops of the protocol dcv, and the blueprint asks for %q.", born.data.Protocol), Cause: greenroom.ErrPermanent}
	}
	var err error
	if a.control, err = link.NewControl(born.source); err != nil {
		return nil, err
	}
	key, text, err := loadKey(cfg.Paths.State, born.data.Secret)
	if err != nil {
		return nil, err
	}
	a.pem = text
	if a.key, err = link.NewIdentity(a.control, key, born.instance, cfg.Version, cfg.Logger); err != nil {
		return nil, err
	}
	a.key.Enrolment.IdentityDocument, a.key.Enrolment.IdentitySignature = born.document, born.signature
	a.key.Install = a.install
	dir := cfg.Paths.Hooks
	if born.data.Hooks != "" {
		dir = born.data.Hooks
	}
	a.turns = &hooks.Turns{Dir: dir, File: filepath.Join(cfg.Paths.State, "meeting.json"), WD: cfg.Paths.State, Env: a.environ,
		Control: a.control, Identity: a.key, Report: a.report, Notice: a.notice, Logger: cfg.Logger}
	return a, nil
}

// environ is what hooks and notices are started with: the agent's own, and how to reach the session's screen.
func (a *agent) environ() []string {
	s, _ := a.session.Get()
	env := append([]string{}, a.Environ...)
	env = append(env, "GREENROOM_USER="+s.owner)
	if s.display != "" {
		env = append(env, "DISPLAY="+s.display, "XAUTHORITY="+s.authority)
	}
	return env
}

// run does everything at once, until the first thing ends.
func (a *agent) run(ctx context.Context) error {
	reporter := link.Reporter{Control: a.control, Identity: a.key, Report: a.report, Notice: a.notice, Logger: a.Logger}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return link.UntilKillTime(ctx, a.born.data.KillAt) })
	g.Go(func() error { return a.key.Run(ctx) })
	g.Go(func() error { return reporter.Run(ctx) })
	g.Go(func() error {
		a.prepare(ctx)
		return nil
	})
	g.Go(func() error { return a.tellTime(ctx) })
	g.Go(func() error { return a.wrapUp(ctx) })
	return g.Wait()
}

// prepare makes the desktop ready, and then watches who is connected. Errors are reported: the control plane
// decides what becomes of the machine.
func (a *agent) prepare(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-a.key.Enrolled():
	}
	began := time.Now()
	err := a.ready(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.Logger.Error("desktop cannot be made ready", logkey.Err, err)
		a.report.Update(func(r *agentapi.Report) {
			r.Error = greenroom.Sentence(err, "The desktop could not be made ready: "+err.Error()+".")
			r.Permanent = errors.Is(err, greenroom.ErrPermanent)
		})
		return
	}
	a.Logger.Info("desktop is ready", logkey.Duration, time.Since(began))
	a.report.Update(func(r *agentapi.Report) { r.Ready, r.Problem = true, "" })
	a.watch(ctx)
}

func (a *agent) ready(ctx context.Context) error {
	e, err := a.control.Facts()
	if err != nil {
		return err
	}
	changed, err := configure(a.Paths, a.settings(e), a.files())
	if err != nil {
		return &greenroom.UserError{Message: "DCV's configuration could not be written.", Cause: err}
	}
	if changed {
		if err := a.restartUnused(ctx); err != nil {
			return err
		}
	}
	if err := a.awaitSession(ctx); err != nil {
		return err
	}
	if err := a.awaitCertificate(ctx); err != nil {
		return err
	}
	return a.turns.WarmUp(ctx)
}

// spareTime is between the end of the end hooks and the kill time.
const spareTime = 5 * time.Second

// wrapUp runs the end hooks when the desktop is told to go, and at the latest so early that they end before the kill time.
func (a *agent) wrapUp(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.key.Enrolled():
	}
	e, err := a.control.Facts()
	if err != nil {
		return err
	}
	early := time.NewTimer(time.Until(a.born.data.KillAt) - e.WrapUp.Duration() - spareTime)
	defer early.Stop()
	return a.turns.Run(ctx, early.C)
}
