//go:build unix

package hooks

import (
	"io/fs"
	"os/exec"
	"syscall"
)

func executable(info fs.FileInfo) bool { return info.Mode().IsRegular() && info.Mode()&0o111 != 0 }

func command(path string) *exec.Cmd {
	return &exec.Cmd{Path: path, Args: []string{path}}
}

// ownGroup lets a program be ended with everything it started.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
