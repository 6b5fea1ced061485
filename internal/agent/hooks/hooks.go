// Package hooks runs an operator's programs at the two turning points of a desktop: warm-up hooks before it is ready,
// end hooks before it goes. Everything about a program is bounded: its time, and what is kept of its output.
package hooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// Directories below that of a desktop's hooks.
const (
	WarmUp = "warmup.d"
	End    = "end.d"
)

// Bounds of a run.
const (
	EachTime  = time.Minute     // for one program
	WholeTime = 5 * time.Minute // for all warm-up hooks
	maxHooks  = 100
	keep      = 8 << 10 // bytes of a program's output, the last ones
	shown     = 200     // characters of it in an error
	killTime  = 2 * time.Second
)

// Run is one run of the programs in a directory.
type Run struct {
	Dir   string   // none there is a directory without programs
	Env   []string // as os.Environ, whole
	WD    string   // where the programs are started; empty is here
	Each  time.Duration
	Whole time.Duration
	// Start starts a program and returns what waits for its end; nil is as exec does it.
	Start func(*exec.Cmd) (wait func() error, err error)
}

// Do runs every program of the directory, in the order of their names, each when the one before has ended. The first that
// fails ends the run with a UserError that holds the last of its output. Do returns what the last program printed last.
// What a program leaves running goes on.
func (r Run) Do(ctx context.Context) (last string, err error) {
	names, err := List(r.Dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Whole, WholeTime))
	defer cancel()
	for _, name := range names {
		out, err := r.one(ctx, name)
		if err != nil {
			return "", err
		}
		last = cmp.Or(lastLine(out), last)
	}
	return last, nil
}

// List gives the programs of a directory in order. A directory that is not there holds none.
func List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &greenroom.UserError{Message: fmt.Sprintf("The hooks in %s cannot be read.", dir), Cause: err}
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && executable(info) {
			names = append(names, e.Name())
		}
	}
	if len(names) > maxHooks {
		return nil, &greenroom.UserError{Message: fmt.Sprintf("There are %d hooks in %s; %d at most are run.", len(names), dir, maxHooks)}
	}
	return names, nil
}

// one runs a program. Its whole group of processes is killed when its time is over.
func (r Run) one(ctx context.Context, name string) (string, error) {
	each := cmp.Or(r.Each, EachTime)
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	began := time.Now()
	out, err := newOutput()
	if err != nil {
		return "", err
	}
	cmd := command(filepath.Join(r.Dir, name))
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = r.Env, r.WD, out.w, out.w
	ownGroup(cmd)
	wait, err := r.start(cmd)
	out.w.Close()
	if err != nil {
		out.r.Close()
		return "", &greenroom.UserError{Message: fmt.Sprintf("The hook %s could not be started: %v.", name, err), Cause: err}
	}
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
		killGroup(cmd)
		select {
		case killed := <-ended:
			err = errors.Join(err, killed)
		case <-time.After(killTime): // it cannot be killed now; it is left behind
		}
	}
	text := out.text()
	if err == nil {
		return text, nil
	}
	why := "failed: " + err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		why = fmt.Sprintf("did not end within %s", time.Since(began).Round(time.Second))
	}
	message := fmt.Sprintf("The hook %s %s.", name, why)
	if tail := lastRunes(text, shown); tail != "" {
		message += " It said: " + tail
	}
	return "", &greenroom.UserError{Message: message, Cause: err}
}

func (r Run) start(cmd *exec.Cmd) (func() error, error) {
	if r.Start != nil {
		return r.Start(cmd)
	}
	return cmd.Wait, cmd.Start()
}

// Environ is what hooks are told of the meeting: from and the variables. file is where Describe wrote it.
func Environ(from []string, m agentapi.Meeting, hostname, file string) []string {
	return append(append([]string{}, from...),
		"GREENROOM_MEETING_ID="+m.ID, "GREENROOM_TITLE="+clean(m.Title), "GREENROOM_ROLE="+m.Role, "GREENROOM_NAME="+clean(m.Name),
		"GREENROOM_VIDEO_URL="+m.VideoURL, "GREENROOM_STARTS_AT="+stamp(m.StartsAt), "GREENROOM_ENDS_AT="+stamp(m.EndsAt),
		"GREENROOM_HOSTNAME="+hostname, "GREENROOM_MEETING_FILE="+file)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Describe writes the meeting to file, as JSON, for everybody on the machine to read: it holds no secret.
func Describe(file string, m agentapi.Meeting, hostname string) error {
	text, err := json.MarshalIndent(struct {
		agentapi.Meeting
		Hostname string `json:"hostname"`
	}{m, hostname}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write what hooks are told: %w", err)
	}
	return nil
}

// dataPrefix begins the line by which an end hook tells where the session's data lies.
const dataPrefix = "session-data-url:"

// SessionData reads where the session's data lies from the last line of the end hooks, "" if it does not say.
func SessionData(line string) string {
	if rest, ok := strings.CutPrefix(line, dataPrefix); ok {
		return strings.TrimSpace(rest)
	}
	return ""
}
