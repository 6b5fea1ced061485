// Package procs reads Linux's process table and ends what must not survive: the agent ends its desktop's
// processes with it, the local provider those of a desktop whose agent is no more. Standard library and system calls only.
package procs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Process is one row of the table. PID and Start together name a process for ever; a PID alone is reused.
type Process struct {
	PID    int
	Parent int
	State  byte   // as in ps: 'Z' has ended and waits for its parent
	Start  uint64 // clock ticks after boot
}

// Ended reports whether the process runs no more, reaped or not.
func (p Process) Ended() bool { return p.State == 'Z' || p.State == 'X' }

// List returns every process there is, the ended ones that nobody reaped included.
func List() ([]Process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := Find(pid); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// Find returns the process that has the pid now.
func Find(pid int) (Process, bool) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return Process{}, false
	}
	// The second field is the program's name in brackets and may hold anything, brackets and blanks too.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return Process{}, false
	}
	const state, parent, start = 0, 1, 19 // counted after the name
	fields := bytes.Fields(stat[end+1:])
	if len(fields) <= start {
		return Process{}, false
	}
	ppid, err1 := strconv.Atoi(string(fields[parent]))
	ticks, err2 := strconv.ParseUint(string(fields[start]), 10, 64)
	return Process{PID: pid, Parent: ppid, State: fields[state][0], Start: ticks}, err1 == nil && err2 == nil
}

// Descendants returns the children of root in table, their children, and so on, without root itself.
func Descendants(table []Process, root int) []Process {
	family := map[int]bool{root: true}
	var found []Process
	for grown := true; grown; {
		grown = false
		for _, p := range table {
			if family[p.Parent] && !family[p.PID] {
				family[p.PID], grown = true, true
				found = append(found, p)
			}
		}
	}
	return found
}

// maxEnviron bounds how much of a process's environment is looked at.
const maxEnviron = 4 << 20

// WithEnviron returns the processes of table that were started with exactly this "NAME=value" in their environment.
func WithEnviron(table []Process, entry string) []Process {
	return slices.DeleteFunc(slices.Clone(table), func(p Process) bool { return !hasEnviron(p.PID, entry) })
}

func hasEnviron(pid int, entry string) bool {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	defer f.Close()
	environ, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return false
	}
	for have := range bytes.SplitSeq(environ, []byte{0}) {
		if string(have) == entry {
			return true
		}
	}
	return false
}

// Signal sends sig to exactly this process: never to another that was given its pid since.
func (p Process) Signal(sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if now, ok := Find(p.PID); !ok || now.Start != p.Start {
		return fmt.Errorf("signal process %d: %w", p.PID, unix.ESRCH)
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}
