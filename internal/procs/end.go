package procs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// lookEvery is the pause between two looks at processes that were told to end. They are not our children, so
// nothing tells when the last one is gone.
const lookEvery = 10 * time.Millisecond

// End asks every process that find returns to end, gives them grace to do so, and then kills, again and
// again, until find returns none: processes may fork while they are being looked for. It returns ctx's error
// if that happens first. Ended processes that nobody reaped count as gone.
func End(ctx context.Context, grace time.Duration, find func() ([]Process, error)) error {
	asked := map[int]uint64{}
	patience := time.NewTimer(grace)
	defer patience.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	sig := unix.SIGTERM
	for {
		found, err := find()
		if err != nil {
			return fmt.Errorf("look for processes: %w", err)
		}
		found = slices.DeleteFunc(found, Process.Ended)
		if len(found) == 0 {
			return nil
		}
		for _, p := range found {
			if sig == unix.SIGKILL || asked[p.PID] != p.Start {
				asked[p.PID] = p.Start
				_ = p.Signal(sig) // it may have ended already: the next look tells
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes are left: %w", len(found), context.Cause(ctx))
		case <-patience.C:
			sig = unix.SIGKILL
		case <-look.C:
		}
	}
}

// Wait returns when the process has ended, or with ctx's error. It need not be a child, and is not reaped.
func (p Process) Wait(ctx context.Context) error {
	fd, err := unix.PidfdOpen(p.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	if now, ok := Find(p.PID); !ok || now.Start != p.Start || now.Ended() {
		return nil
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	unblock := context.AfterFunc(ctx, func() { f.Close() })
	defer unblock()
	// A pidfd becomes readable when its process ends; the runtime's poller waits for that without a thread.
	err = conn.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 && err == nil
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
