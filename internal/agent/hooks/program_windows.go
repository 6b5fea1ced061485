package hooks

import (
	"io/fs"
	"os/exec"
	"strconv"
	"syscall"
)

func executable(info fs.FileInfo) bool { return info.Mode().IsRegular() && runner(info.Name()) != nil }

func command(path string) *exec.Cmd {
	line := runner(path)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true}
	return cmd
}

func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr.CreationFlags |= syscall.CREATE_NEW_PROCESS_GROUP }

// killGroup ends a program with everything it started: Windows has no groups to signal.
func killGroup(cmd *exec.Cmd) {
	_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run()
}
