// Package limits raises what the system lets this process use, and says what is too little for greenroom. Linux only.
package limits

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Finding is one limit that is too low.
type Finding struct {
	Limit   string // as an operator knows it: open files
	Message string // a sentence with the figures
	Fix     string
	Useless bool // nothing works with so little
}

// unlimited is RLIM_INFINITY.
const unlimited = ^uint64(0)

// limit is one of the kernel's for a process, with what greenroom needs.
type limit struct {
	resource      int
	name, fix     string
	least, enough uint64 // below least nothing works, below enough not for many desktops
	unit          uint64 // for people
	unitName      string
	notForRoot    bool // the kernel does not hold root to it
}

// A server needs about 40 files of its own, 4 for each desktop and 2 for each of the up to 4096 connections to pages and desktops.
// A desktop is about 20 processes and threads, of which applications may start more.
var all = []limit{
	{unix.RLIMIT_NOFILE, "open files", "ulimit -n 16384, or LimitNOFILE=16384 in the unit", 256, 4096, 1, "", false},
	{unix.RLIMIT_NPROC, "processes of this user", "ulimit -u 8192, or LimitNPROC=8192 in the unit", 128, 1024, 1, "", true},
	{unix.RLIMIT_AS, "address space", "ulimit -v unlimited, or LimitAS=infinity in the unit", 2 << 30, 8 << 30, 1 << 20, " MiB", false},
	{unix.RLIMIT_DATA, "data segment", "ulimit -d unlimited, or LimitDATA=infinity in the unit", 1 << 30, 4 << 30, 1 << 20, " MiB", false},
	{unix.RLIMIT_FSIZE, "size of a file", "ulimit -f unlimited, or LimitFSIZE=infinity in the unit", 64 << 20, 4 << 30, 1 << 20, " MiB", false},
	{unix.RLIMIT_CPU, "processor time", "ulimit -t unlimited, or LimitCPU=infinity in the unit", 60, unlimited, 1, " s", false},
}

// maxFiles is the limit of open files that is asked for: more makes programs slow that close every possible file at their start.
const maxFiles = 65536

// Raise lifts the soft limits to the hard ones, and the hard one of open files as well where this process may. Programs that it starts
// inherit that.
func Raise() {
	for _, l := range all {
		var now unix.Rlimit
		if unix.Getrlimit(l.resource, &now) != nil {
			continue
		}
		want := unix.Rlimit{Cur: now.Max, Max: now.Max}
		if l.resource == unix.RLIMIT_NOFILE {
			want.Cur = min(now.Max, maxFiles)
			if now.Max < l.enough {
				more := unix.Rlimit{Cur: maxFiles, Max: maxFiles}
				if unix.Setrlimit(l.resource, &more) == nil { // it takes a capability
					continue
				}
			}
		}
		_ = unix.Setrlimit(l.resource, &want) // it stays as it was if this fails, and Look tells
	}
}

// Look returns the limits of this process that are too low.
func Look() []Finding {
	var found []Finding
	for _, l := range all {
		var now unix.Rlimit
		if l.notForRoot && os.Geteuid() == 0 || unix.Getrlimit(l.resource, &now) != nil {
			continue
		}
		if f, low := l.judge(now.Max); low { // the soft one was raised, or can be
			found = append(found, f)
		}
	}
	if most, ok := tasks("/proc/self/cgroup", "/sys/fs/cgroup"); ok {
		l := limit{name: "processes and threads of this container or service", fix: "podman or docker run --pids-limit 8192, or TasksMax=8192 in the unit", least: 64, enough: 1024, unit: 1}
		if f, low := l.judge(most); low {
			found = append(found, f)
		}
	}
	return found
}

func (l limit) judge(have uint64) (Finding, bool) {
	if have >= l.enough {
		return Finding{}, false
	}
	need := strconv.FormatUint(l.enough/l.unit, 10) + l.unitName
	if l.enough == unlimited {
		need = "no limit"
	}
	f := Finding{Limit: l.name, Fix: "raise it: " + l.fix, Useless: have < l.least}
	f.Message = fmt.Sprintf("The limit of %s is %d%s, and greenroom needs %s.", l.name, have/l.unit, l.unitName, need)
	return f, true
}

// tasks is the lowest bound of processes and threads of the control groups that this process is in.
func tasks(membership, mount string) (uint64, bool) {
	text, err := os.ReadFile(membership)
	if err != nil {
		return 0, false
	}
	lowest := unlimited
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok || controllers != "" && controllers != "pids" {
			continue
		}
		for at := filepath.Join(mount, controllers, path); strings.HasPrefix(at, mount); at = filepath.Dir(at) {
			if text, err := os.ReadFile(filepath.Join(at, "pids.max")); err == nil {
				if n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil { // "max" means no limit
					lowest = min(lowest, n)
				}
			}
		}
	}
	return lowest, lowest != unlimited
}
