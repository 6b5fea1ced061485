// Package novncagent is the desktop side of greenroom: it runs on the machine of one seat, starts the screen and
// the applications, enrols with the control plane, serves the desktop to its participant over HTTPS, reports
// who is connected, and ends itself. It shares with the control plane only agentapi, dcv and the nouns; procs
// tells it what runs on its machine. Linux only.
package novncagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/hooks"
	"greenroom/internal/agent/link"
)

// Config is what one desktop's agent needs. Everything else is in user-data.json in Dir.
type Config struct {
	Dir      string       // the desktop's own directory, mode 700
	Listener net.Listener // where participants are served, on the desktop's own address; Run closes it
	Environ  []string     // as os.Environ: PATH, LANG, LC_*, TZ and GREENROOM_INSTANCE reach the desktop's programs
	Version  string       // told when enrolling and with every report
	Logger   *slog.Logger
}

// Bounds of the end: everything together stays below two seconds.
const (
	goodbyeTime = 400 * time.Millisecond  // for open pages to take leave
	termGrace   = 700 * time.Millisecond  // for programs to end when asked
	endTime     = 1800 * time.Millisecond // for all of them to be gone when killed
)

// Run is one desktop, until ctx ends, its kill time comes, the control plane retires it, or its screen dies.
// Only the last is an error, beside what keeps it from starting at all. When it returns, every process of the
// desktop has ended, and after the kill time its directory is gone too.
//
// Run takes over its process: it changes into Dir, since the paths of sockets must be short, and becomes the
// parent of every process that its descendants leave behind.
func Run(ctx context.Context, cfg Config) error {
	d, err := open(cfg)
	if err != nil {
		return errors.Join(err, cfg.Listener.Close())
	}
	defer d.lock.Close()
	ended := d.run(ctx)
	leftover := d.end()
	switch {
	case errors.Is(ended, link.ErrKillTime):
		leftover = errors.Join(leftover, os.RemoveAll(d.dir))
	case ctx.Err() != nil, errors.Is(ended, link.ErrRetired):
	default:
		return errors.Join(ended, leftover)
	}
	return leftover
}

// desktop is one running agent.
type desktop struct {
	cfg     Config
	dir     string
	lock    *os.File
	data    agentapi.UserData
	report  *link.Watched[agentapi.Report]
	notice  *link.Watched[link.Notice]
	control *link.Control
	key     *link.Identity
	family  *family
	screen  *screen
	turns   *hooks.Turns
	server  *server
}

func open(cfg Config) (*desktop, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.Chdir(dir); err != nil {
		return nil, fmt.Errorf("enter the desktop's directory: %w", err)
	}
	lock, err := lockFile("agent.lock")
	if err != nil {
		return nil, err
	}
	data, err := userData()
	if err != nil {
		return nil, err
	}
	if data.Protocol != greenroom.NoVNC {
		return nil, &greenroom.UserError{Message: fmt.Sprintf("The agent serves the protocol novnc, and the blueprint asks for %q.", data.Protocol), Cause: greenroom.ErrPermanent}
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the reaper of the desktop's processes: %w", err)
	}
	d := &desktop{cfg: cfg, dir: dir, lock: lock, data: data, report: link.NewWatched(agentapi.Report{Version: cfg.Version}), notice: link.NewWatched(link.Notice{})}
	if d.control, err = link.NewControl(userData); err != nil {
		return nil, err
	}
	key, err := link.NewKey()
	if err != nil {
		return nil, err
	}
	if d.key, err = link.NewIdentity(d.control, key, data.InstanceID, cfg.Version, cfg.Logger); err != nil {
		return nil, err
	}
	d.family = newFamily()
	d.screen = &screen{dir: dir, display: -1, size: data.Screen, applications: data.Applications, family: d.family,
		environ: environ(cfg.Environ, dir), report: d.report, logger: cfg.Logger}
	d.turns = newTurns(d)
	d.screen.warmUp = d.turns.WarmUp
	d.server = newServer(d)
	return d, nil
}

// userData reads what the machine was told at birth, from the working directory.
func userData() (agentapi.UserData, error) { return link.ReadUserData("user-data.json") }

// lockFile makes sure that one agent runs in a directory, whatever crashed when it was started.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another agent runs in this directory: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}

// environ is what the desktop's programs are started with: little, and nothing of the control plane's own.
func environ(from []string, dir string) []string {
	var env []string
	for _, entry := range from {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "PATH", "LANG", "TZ", "GREENROOM_INSTANCE":
			env = append(env, entry)
		default:
			if strings.HasPrefix(name, "LC_") {
				env = append(env, entry)
			}
		}
	}
	return append(env, "HOME="+filepath.Join(dir, "home"), "SHELL=/bin/sh", "XAUTHORITY="+filepath.Join(dir, cookieFile),
		"XDG_RUNTIME_DIR="+filepath.Join(dir, "run"), "TMPDIR="+filepath.Join(dir, "tmp"))
}

// run does everything at once, until the first thing ends.
func (d *desktop) run(ctx context.Context) error {
	reporter := link.Reporter{Control: d.control, Identity: d.key, Report: d.report, Notice: d.notice, Logger: d.cfg.Logger, Obey: d.server.obey}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.family.reap(ctx) })
	g.Go(func() error { return d.screen.run(ctx) })
	g.Go(func() error { return d.key.Run(ctx) })
	g.Go(func() error { return reporter.Run(ctx) })
	g.Go(func() error { return link.UntilKillTime(ctx, d.data.KillAt) })
	g.Go(func() error { return d.server.run(ctx) })
	g.Go(func() error { return d.turns.Run(ctx, nil) })
	g.Go(func() error {
		<-ctx.Done()
		d.goodbye(context.Cause(ctx))
		return nil
	})
	return g.Wait()
}

// goodbye tells the open pages why their desktop goes, and closes them.
func (d *desktop) goodbye(cause error) {
	last, _ := d.notice.Get()
	sentence := cmp.Or(last.Ending, "This desktop is being closed.")
	switch {
	case errors.Is(cause, link.ErrKillTime):
		sentence = "This desktop reached its maximum age and is being closed."
	case errors.Is(cause, errScreenEnded):
		sentence = "The screen of this desktop ended unexpectedly."
	}
	d.notice.Update(func(n *link.Notice) { n.Ending = sentence })
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	d.server.close(ctx, sentence)
}

// end ends every process of the desktop, and removes what the screen left outside of the directory.
func (d *desktop) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	reap, stop := context.WithCancel(context.Background())
	defer stop()
	wg.Go(func() { _ = d.family.reap(reap) })
	err := d.family.end(ctx, termGrace)
	d.screen.cleanUp(ctx)
	return err
}

// Inherited is the listener that a provider reserved and handed to the agent's process as its third file.
func Inherited() (net.Listener, error) {
	f := os.NewFile(3, "listener")
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take over the listener at file descriptor 3: %w", err)
	}
	// The listener is a copy that programs do not inherit; the original would stay open in all of them.
	return ln, f.Close()
}
