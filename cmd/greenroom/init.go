package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// selfExe is the program that runs, even after its file was replaced or removed.
const selfExe = "/proc/self/exe"

// isInit reports whether this process is the first of its PID namespace, as in a container without an init of its own.
func isInit() bool { return os.Getpid() == 1 }

// asInit runs this program again as a child and reaps what orphans leave behind: processes of a killed desktop become children of
// the first process, and nobody else can. It passes signals on, and returns the child's exit code. When it ends, the kernel ends the
// whole namespace.
func asInit(stderr io.Writer) int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	child := exec.Command(selfExe) //nolint:noctx // it ends by signals that are passed on
	child.Args = os.Args
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	// A process group of its own: Ctrl-C on a terminal must reach it once.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		child.SysProcAttr = &syscall.SysProcAttr{Foreground: true}
	}
	if err := child.Start(); err != nil {
		fmt.Fprintln(stderr, "greenroom: start as the first process of a container:", err)
		return exitFail
	}
	pid := child.Process.Pid
	go func() {
		for s := range signals {
			_ = syscall.Kill(pid, s.(syscall.Signal)) // it may have ended already: reap tells
		}
	}()
	return reap(pid)
}

// reap waits for every child until the one with that pid has ended, and returns its exit code as a shell would.
func reap(pid int) int {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return exitFail // there is no child any more
		case ended == pid && status.Exited():
			return status.ExitStatus()
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal())
		}
	}
}
