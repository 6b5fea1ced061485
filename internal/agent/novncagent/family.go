package novncagent

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"greenroom/internal/procs"
)

// family is every process of the desktop: those started here, and, because the agent is their reaper,
// whatever they leave behind.
type family struct {
	mu   sync.Mutex
	own  map[int]bool // started here and waited for by exec; the reaper must leave them alone
	wg   sync.WaitGroup
	fork chan func() // what the thread that starts programs is to do
}

func newFamily() *family {
	f := &family{own: map[int]bool{}, fork: make(chan func())}
	go f.parent()
	return f
}

// parent starts the programs, all on one thread that lives as long as the process: a program asks the kernel to kill it when
// the thread that started it ends, so that none outlives an agent that is killed.
func (f *family) parent() {
	runtime.LockOSThread()
	for start := range f.fork {
		start()
	}
}

// begin starts the command on the parent thread.
func (f *family) begin(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	done := make(chan error)
	f.fork <- func() { done <- cmd.Start() }
	return <-done
}

// child is a program that was started here.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
	err  error         // how; read it after done
}

// start starts the program. It is waited for at once, so it never stays a zombie.
func (f *family) start(name string, cmd *exec.Cmd) (*child, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(cmd); err != nil {
		return nil, err
	}
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	f.own[cmd.Process.Pid] = true
	f.wg.Go(func() {
		c.err = cmd.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.own, cmd.Process.Pid)
		close(c.done)
	})
	return c, nil
}

// reap takes leave of the processes that others left behind, whenever a child ends, until ctx ends.
func (f *family) reap(ctx context.Context) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	defer signal.Stop(ended)
	for {
		if err := f.reapOnce(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
		}
	}
}

func (f *family) reapOnce() error {
	f.mu.Lock()
	defer f.mu.Unlock() // no program is being started while the table is read, so every stranger is one
	table, err := procs.List()
	if err != nil {
		return err
	}
	for _, p := range table {
		if p.Parent == os.Getpid() && p.State == 'Z' && !f.own[p.PID] {
			_, _ = unix.Wait4(p.PID, nil, unix.WNOHANG, nil)
		}
	}
	return nil
}

// end ends them all and returns when none is left.
func (f *family) end(ctx context.Context, grace time.Duration) error {
	err := procs.End(ctx, grace, func() ([]procs.Process, error) {
		table, err := procs.List()
		return procs.Descendants(table, os.Getpid()), err
	})
	if err == nil {
		f.wg.Wait()
	}
	return err
}
