package novncagent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/link"
	"greenroom/internal/logkey"
	"greenroom/internal/procs"
)

// Files of the desktop, in its directory.
const (
	rfbSocket   = "rfb.sock"
	cookieFile  = "Xauthority"
	outputFile  = "programs.log"
	managerPipe = "manager.up"
	displayFile = "display" // its number, for the provider, if the agent should be killed
)

const (
	cookieName = "MIT-MAGIC-COOKIE-1"
	backdrop   = 0x2b4a4f // of the root window: a quiet green
	startTime  = 30 * time.Second
	// windowTime is how long readiness waits for applications to show their windows. One that has none,
	// or takes its time, must not keep the participant out.
	windowTime = 3 * time.Second
)

var errScreenEnded = errors.New("the screen ended")

// screen is the X server with its window manager and applications.
type screen struct {
	dir          string
	size         string // WIDTHxHEIGHT
	applications []string
	environ      []string
	family       *family
	report       *link.Watched[agentapi.Report]
	warmUp       func(context.Context) error // what is to be done before anybody comes
	logger       *slog.Logger

	server  *child
	manager *child
	apps    []*child
	display int       // its number, once it told; -1 before
	output  io.Writer // of the programs
	end     []func()  // what is to be done when all of them have ended
}

// run starts everything and reports when it is ready, or why it never will be. It returns when ctx ends, or
// with errScreenEnded.
func (s *screen) run(ctx context.Context) error {
	began := time.Now()
	starting, cancel := context.WithTimeout(ctx, startTime)
	err := s.start(starting)
	cancel()
	if err == nil {
		err = s.warmUp(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Error("desktop cannot start", logkey.Err, err)
		s.report.Update(func(r *agentapi.Report) {
			r.Error = greenroom.Sentence(err, "The desktop's screen could not be started: "+err.Error()+".")
			r.Permanent = errors.Is(err, greenroom.ErrPermanent)
		})
		<-ctx.Done() // the report must arrive; whoever reads it will end us
		return nil
	}
	if err == nil {
		s.logger.Info("desktop is ready", logkey.Duration, time.Since(began))
		s.report.Update(func(r *agentapi.Report) { r.Ready = true })
	}
	if s.server == nil {
		return nil
	}
	ctx, cancel = context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if err == nil {
		wg.Go(func() { s.supervise(ctx) })
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.server.done:
		return errors.Join(errScreenEnded, s.server.err)
	}
}

func (s *screen) start(ctx context.Context) error {
	for _, program := range []string{"Xtigervnc", "openbox"} {
		if _, err := exec.LookPath(program); err != nil {
			return missing(program)
		}
	}
	cookie, err := s.prepare()
	if err != nil {
		return err
	}
	display, err := s.startServer(ctx)
	if err != nil {
		return err
	}
	s.environ = append(s.environ, "DISPLAY=:"+strconv.Itoa(display))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return handshake(ctx) })
	g.Go(func() error { return s.furnish(ctx, display, cookie) })
	return g.Wait()
}

// prepare makes the directories, the log and the cookie file.
func (s *screen) prepare() (cookie []byte, err error) {
	for _, dir := range []string{"home", "run", "tmp"} { // the service's own /tmp may go with a restart of the service
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	cookie = make([]byte, 16)
	_, _ = rand.Read(cookie) // crypto/rand.Read never fails: it ends the process instead
	if err := os.WriteFile(cookieFile, authority(cookie), 0o600); err != nil {
		return nil, fmt.Errorf("write cookie: %w", err)
	}
	output, done, err := boundedLog(outputFile)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	s.output, s.end = output, append(s.end, done)
	return cookie, nil
}

// authority is an Xauthority file with one cookie for any address and display: it is written before the
// display's number is known.
func authority(cookie []byte) []byte {
	const anyFamily = 0xffff
	field := func(b []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	b := binary.BigEndian.AppendUint16(nil, anyFamily)
	for _, s := range []string{"", "", cookieName, string(cookie)} {
		b = field(b, s)
	}
	return b
}

// startServer starts the X server, which finds a free display by itself, and returns the number it tells.
func (s *screen) startServer(ctx context.Context) (int, error) {
	number, told, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer number.Close()
	cmd := s.command("Xtigervnc", "-displayfd", "3", "-auth", cookieFile, "-geometry", s.size, "-depth", "24",
		"-rfbunixpath", rfbSocket, "-rfbunixmode", "0600", "-rfbport", "-1", "-nolisten", "tcp", "-SecurityTypes", "None",
		"-AlwaysShared", "-AcceptSetDesktopSize", "-noreset", "-desktop", "greenroom")
	cmd.ExtraFiles = []*os.File{told}
	s.server, err = s.family.start("Xtigervnc", cmd)
	told.Close()
	if err != nil {
		return 0, fmt.Errorf("start Xtigervnc: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { number.Close() })
	defer stop()
	text, err := io.ReadAll(io.LimitReader(number, 16)) // ends with the number written, or with the server
	display, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || bad != nil {
		return 0, s.noDisplay(ctx, errors.Join(err, bad))
	}
	s.display = display
	return display, os.WriteFile(displayFile, []byte(strconv.Itoa(display)), 0o600)
}

// handshake sees the screen's own words on its socket.
func handshake(ctx context.Context) error {
	conn, err := dialRFB(ctx)
	if err != nil {
		return fmt.Errorf("connect to the screen: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var version [12]byte
	if _, err := io.ReadFull(conn, version[:]); err != nil || string(version[:4]) != "RFB " {
		return fmt.Errorf("the screen says %q: %w", version, errors.Join(err, ctx.Err()))
	}
	return nil
}

// furnish paints the background, starts the window manager, then the applications, and sees their windows.
func (s *screen) furnish(ctx context.Context, display int, cookie []byte) error {
	x, err := dialX(ctx, display, cookie)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer x.conn.Close()
	stop := context.AfterFunc(ctx, func() { x.conn.Close() })
	defer stop()
	if err := x.paint(backdrop); err != nil {
		return fmt.Errorf("paint the background: %w", err)
	}
	if err := s.startManager(ctx); err != nil {
		return err
	}
	apps, err := s.startApplications()
	if err != nil {
		return err
	}
	s.apps = apps
	windows := make(chan error, 1)
	wg.Go(func() { windows <- x.awaitProperty("_NET_CLIENT_LIST", len(apps)) })
	return settle(ctx, apps, windows)
}

// startManager starts openbox, and returns when it manages windows. It owns the screen some time before: a window
// that comes in between may stay hidden, so the root window's properties are no sign. Its start command is,
// which writes into a pipe.
func (s *screen) startManager(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(managerPipe), unix.Mkfifo(managerPipe, 0o600)); err != nil {
		return fmt.Errorf("make a pipe for openbox: %w", err)
	}
	up, err := os.OpenFile(managerPipe, os.O_RDWR, 0) // for reading alone, it would wait here for a writer
	if err != nil {
		return fmt.Errorf("open the pipe for openbox: %w", err)
	}
	defer up.Close()
	manager, err := s.family.start("openbox", s.command("openbox", "--sm-disable", "--startup", "sh -c 'echo up >../"+managerPipe+"'")) // it goes home first
	if err != nil {
		return fmt.Errorf("start openbox: %w", err)
	}
	s.manager = manager
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-manager.done:
		}
		_ = up.SetReadDeadline(time.Now())
	})
	if _, err := up.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("wait for openbox (see %s): %w", outputFile, err)
	}
	return nil
}

// startApplications starts the command lines of the blueprint.
func (s *screen) startApplications() ([]*child, error) {
	var apps []*child
	for _, line := range s.applications {
		app, err := s.startApplication(line)
		if err != nil {
			return nil, err
		}
		apps = append(apps, app)
	}
	return apps, nil
}

func (s *screen) startApplication(line string) (*child, error) {
	app, err := s.family.start(line, s.command("sh", "-c", line))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", line, err)
	}
	return app, nil
}

// settle waits for the windows, or for the first application that fails.
func settle(ctx context.Context, apps []*child, windows <-chan error) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(apps))
	for _, app := range apps {
		wg.Go(func() {
			select {
			case <-ctx.Done():
			case <-app.done:
				if err := failure(app); err != nil {
					failed <- err
				}
			}
		})
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-failed:
		return err
	case err := <-windows:
		return err
	case <-time.After(windowTime):
		return nil
	}
}

// failure is why an application that ended has failed. One that ends well may have left a window in the
// hands of another process.
func failure(app *child) error {
	exit, ok := errors.AsType[*exec.ExitError](app.err)
	if !ok {
		return app.err
	}
	const shellCannotRun, shellFindsNothing = 126, 127
	if code := exit.ExitCode(); code == shellCannotRun || code == shellFindsNothing {
		return missing(strings.Fields(app.name + " ?")[0])
	}
	return &greenroom.UserError{Message: fmt.Sprintf("The application %q ended as soon as it was started.", app.name), Cause: app.err}
}

// missing is the permanent error of a program that is not installed, with what installs it.
func missing(program string) error {
	pkg := program
	if program == "Xtigervnc" {
		pkg = "tigervnc-standalone-server"
	}
	return &greenroom.UserError{Cause: greenroom.ErrPermanent, Message: fmt.Sprintf(
		"The desktop's machine has no program %s: it is in the package %s (apt-get install %s).", program, pkg, pkg)}
}

// command is a program of the desktop: its directory, its environment, its log.
func (s *screen) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...) // the family ends it, politely, and not a context
	cmd.Env, cmd.Stdout, cmd.Stderr = s.environ, s.output, s.output
	if name == "sh" {
		cmd.Dir = "home"
	}
	return cmd
}

// cleanUp removes what a killed server leaves outside of the directory. All programs have ended.
func (s *screen) cleanUp(ctx context.Context) {
	if s.display >= 0 {
		procs.RemoveDisplay(ctx, s.display)
	}
	for _, f := range s.end {
		f()
	}
}
