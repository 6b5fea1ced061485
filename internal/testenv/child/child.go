// Package child starts programs that end when the test's process ends, however that happens.
package child

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Start starts cmd. Its error, once it has ended, is sent on the channel: who calls Start does not call Wait.
//
// The kernel kills the program when the thread is gone that started it, not the process (prctl(2), PR_SET_PDEATHSIG). A
// thread of Go's may go at any time: another test locks a goroutine to it and lets it end. So the program has one of its own.
func Start(cmd *exec.Cmd) (<-chan error, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return ended, nil
}
