package nettest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"greenroom/internal/procs"
)

// namespaces is where ip keeps those that have a name.
const namespaces = "/run/netns"

// owner names what belongs to one machine of one test process, so that others can tell when nobody needs it any more.
type owner struct {
	pid   int
	start uint64 // of the process: a pid alone is given again
	n     int64
}

const prefix = "greenroom-test"

var machines atomic.Int64

func newOwner() owner {
	self, _ := procs.Find(os.Getpid())
	return owner{pid: os.Getpid(), start: self.Start, n: machines.Add(1)}
}

func (o owner) namespace() string { return fmt.Sprintf("%s-%d-%d-%d", prefix, o.pid, o.start, o.n) }

// cable names our end of the n-th one. The kernel allows fifteen characters.
func (o owner) cable(n int64) string {
	return fmt.Sprintf("gr%d-%d-%d", o.pid, o.n, n)
}

// parse reads a namespace's name.
func parse(namespace string) (o owner, ok bool) {
	_, err := fmt.Sscanf(namespace, prefix+"-%d-%d-%d", &o.pid, &o.start, &o.n)
	return o, err == nil && o.namespace() == namespace
}

func (o owner) alive() bool {
	p, ok := procs.Find(o.pid)
	return ok && p.Start == o.start && !p.Ended()
}

// remove takes the cables first: the namespace itself stays as long as a process is in it.
func (o owner) remove() {
	all, _ := net.Interfaces()
	ours := strings.TrimSuffix(o.cable(0), "0")
	for _, i := range all {
		if strings.HasPrefix(i.Name, ours) {
			_ = ip("link", "del", i.Name)
		}
	}
	_ = ip("netns", "del", o.namespace())
}

// sweep removes what processes left that are no more.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(namespaces, prefix+"-*"))
	for _, path := range left {
		if o, ok := parse(filepath.Base(path)); ok && !o.alive() {
			o.remove()
		}
	}
}
