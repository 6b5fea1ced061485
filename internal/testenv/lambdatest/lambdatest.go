// Package lambdatest stands in for AWS Lambda: it runs the real program of a function in sandboxes, as its runtime API does
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), one event at a time in each, and more sandboxes when all
// are busy.
package lambdatest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenroom/internal/testenv/child"
)

// Function is one function. Make it with New.
type Function struct {
	Handler string
	Timeout time.Duration // of an event
	Program string
	Env     []string
	Most    int // sandboxes at once; 0 is no bound

	t    testing.TB
	log  *bytes.Buffer
	mu   sync.Mutex
	idle []*sandbox
	all  map[*sandbox]bool

	invoked, started atomic.Int64
}

// Error is how a function said that an event failed.
type Error struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

// Error implements error.
func (e *Error) Error() string { return e.Type + ": " + e.Message }

// ErrDied is the error of an event whose sandbox ended before it answered.
var ErrDied = errors.New("the sandbox ended before it answered")

// New returns a function whose sandboxes end with the test. What they log is printed if it fails.
func New(t testing.TB, handler, program string, timeout time.Duration, env ...string) *Function {
	t.Helper()
	f := &Function{Handler: handler, Timeout: timeout, Program: program, Env: env, t: t, log: &bytes.Buffer{}, all: map[*sandbox]bool{}}
	t.Cleanup(func() {
		f.Stop()
		if t.Failed() {
			t.Logf("function %s logged:\n%s", handler, f.Log())
		}
	})
	return f
}

// Invocations counts the events, and the sandboxes that were started for them.
func (f *Function) Invocations() (events, sandboxes int64) {
	return f.invoked.Load(), f.started.Load()
}

// Log is what all sandboxes have logged.
func (f *Function) Log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

// Write takes what sandboxes log.
func (f *Function) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(b)
}

// Stop ends all sandboxes, as a new version of the function does.
func (f *Function) Stop() {
	for _, s := range f.sandboxes() {
		s.end()
	}
}

// Kill ends one of the sandboxes that are at work, if there is one, in the middle of its work.
func (f *Function) Kill() bool {
	for _, s := range f.sandboxes() {
		if s.busy.Load() {
			s.end()
			return true
		}
	}
	return false
}

func (f *Function) sandboxes() []*sandbox {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*sandbox
	for s := range f.all {
		out = append(out, s)
	}
	return out
}

// Invoke hands an event to an idle sandbox, or to a new one, and returns what the function answers.
func (f *Function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	f.invoked.Add(1)
	s, err := f.take(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := s.do(ctx, event, f.Timeout)
	if errors.Is(err, ErrDied) {
		s.end()
		f.mu.Lock()
		delete(f.all, s)
		f.mu.Unlock()
	} else {
		f.mu.Lock()
		f.idle = append(f.idle, s)
		f.mu.Unlock()
	}
	return answer, err
}

func (f *Function) take(ctx context.Context) (*sandbox, error) {
	for {
		f.mu.Lock()
		if n := len(f.idle); n > 0 {
			s := f.idle[n-1]
			f.idle = f.idle[:n-1]
			f.mu.Unlock()
			return s, nil
		}
		if f.Most == 0 || len(f.all) < f.Most {
			s := &sandbox{events: make(chan invocation), gone: make(chan struct{})}
			f.all[s] = true
			f.mu.Unlock()
			return s, s.start(f)
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// sandbox is one process of the function.
type sandbox struct {
	cmd     *exec.Cmd
	server  *http.Server
	events  chan invocation
	gone    chan struct{} // closed when the process has ended
	busy    atomic.Bool
	ending  sync.Once
	mu      sync.Mutex
	current *invocation
}

// invocation is one event on its way.
type invocation struct {
	id     string
	event  []byte
	until  time.Time
	answer chan result // takes one
}

type result struct {
	answer []byte
	err    error
}

const api = "/2018-06-01/runtime/"

func (s *sandbox) start(f *Function) error {
	f.started.Add(1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api+"invocation/next", s.next)
	mux.HandleFunc("POST "+api+"invocation/{id}/{outcome}", s.outcome)
	mux.HandleFunc("POST "+api+"init/error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	s.server = &http.Server{Handler: mux}
	go func() { _ = s.server.Serve(listener) }()
	s.cmd = exec.Command(f.Program)
	s.cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "_HANDLER=" + f.Handler, "AWS_LAMBDA_FUNCTION_NAME=greenroom-" + f.Handler,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "LAMBDA_TASK_ROOT=" + os.TempDir() + "/no-task-root", "PATH=" + os.Getenv("PATH"),
	}, f.Env...)
	s.cmd.Stdout, s.cmd.Stderr = f, f
	ended, err := child.Start(s.cmd)
	if err != nil {
		return err
	}
	go func() {
		<-ended
		close(s.gone)
	}()
	return nil
}

func (s *sandbox) end() {
	s.ending.Do(func() {
		_ = s.cmd.Process.Kill()
		<-s.gone
		_ = s.server.Close()
	})
}

func (s *sandbox) do(ctx context.Context, event []byte, timeout time.Duration) ([]byte, error) {
	s.busy.Store(true)
	defer s.busy.Store(false)
	i := invocation{strconv.FormatInt(time.Now().UnixNano(), 36), event, time.Now().Add(timeout), make(chan result, 1)}
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case s.events <- i:
	case <-s.gone:
		return nil, ErrDied
	case <-late.C:
		return nil, ErrDied
	case <-ctx.Done():
		return nil, ErrDied
	}
	select {
	case r := <-i.answer:
		return r.answer, r.err
	case <-s.gone:
		return nil, ErrDied
	case <-late.C: // Lambda ends a sandbox whose time is over
		return nil, ErrDied
	case <-ctx.Done():
		return nil, ErrDied
	}
}

func (s *sandbox) next(w http.ResponseWriter, r *http.Request) {
	select {
	case i := <-s.events:
		s.mu.Lock()
		s.current = &i
		s.mu.Unlock()
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.until.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:greenroom")
		_, _ = w.Write(i.event)
	case <-r.Context().Done():
	}
}

func (s *sandbox) outcome(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	s.mu.Lock()
	i := s.current
	s.mu.Unlock()
	if err != nil || i == nil || i.id != r.PathValue("id") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	out := result{answer: body}
	if r.PathValue("outcome") == "error" {
		fault := &Error{}
		if json.Unmarshal(body, fault) != nil {
			fault.Message = strings.TrimSpace(string(body))
		}
		out = result{err: fault}
	}
	i.answer <- out
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprint(w, `{"status":"OK"}`)
}
