// Package doctor looks whether this machine has what greenroom needs, and says what to do where it has not.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"greenroom"
)

// Finding is the result of one look.
type Finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Note   bool   `json:"note,omitempty"` // not well, but greenroom works without it
	Detail string `json:"detail"`         // what was seen
	Fix    string `json:"fix,omitempty"`  // what to do about it
}

// Failed reports whether greenroom will not work.
func (f Finding) Failed() bool { return !f.OK && !f.Note }

// Options say what to look at.
type Options struct {
	DataDir      string
	Zone         string
	Listen       string // host:port; pages and API, TCP
	Desktops     string // TCP; empty: nothing listens there
	DNS          string // UDP and TCP; empty: the same
	Applications []string

	// Server asks the server for its version and clock; an error means that it does not run.
	Server func(ctx context.Context) (version string, now time.Time, err error)
	// Stuck asks the server which meetings do not move. It is asked only when the server runs.
	Stuck func(ctx context.Context) ([]Finding, error)
	// Names in a zone that is not this machine's alone.
	Names Names
	// Front is the one address of pages, API and desktops; none with other ways to desktops.
	Front Front
	// Certificates of other issuers than the local authority.
	Certificates Certificates
	// Lasting are certificates in the data directory and in the files of the configuration that are good for a time.
	Lasting []Lasting
	// Trusted reports whether the local authority is trusted by this machine's browsers; nil where it signs nothing that they see.
	Trusted func(ctx context.Context) (bool, error)
}

// lookTimeout bounds each look at something that may not answer.
const lookTimeout = 3 * time.Second

// checkTime bounds all looks together.
const checkTime = 55 * time.Second

// Check looks at everything, within a minute, and returns what it found in the order in which problems should be solved.
func Check(ctx context.Context, o Options) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	zone := make(chan []Finding, 1)
	go func() { zone <- o.Names.check(ctx) }()
	running, server := serverFinding(ctx, o)
	out := programs(o.Applications)
	out = append(out, dataDir(o.DataDir), screens("/tmp"), clock(ctx, o), loopback(ctx))
	out = append(out, bounds()...)
	out = append(out, ports(ctx, o, running)...)
	if o.Names.Zone == "" && o.Front.URL == "" {
		out = append(out, names(ctx, o.Zone))
	}
	out = append(out, <-zone...)
	if o.Trusted != nil {
		out = append(out, authority(ctx, o))
	}
	out = append(out, lasting(o.Lasting, time.Now())...)
	out = append(out, o.Certificates.check(ctx)...)
	if running {
		out = append(out, o.Front.check(ctx)...)
	}
	out = append(out, server)
	if running {
		out = append(out, meetings(ctx, o)...)
	}
	return out
}

// packages names the package that brings a program, where its name differs.
func packages(program string) string {
	if program == "Xtigervnc" {
		return "tigervnc-standalone-server"
	}
	return program
}

func programs(applications []string) []Finding {
	wanted := []string{"Xtigervnc", "openbox"}
	for _, line := range applications {
		if words := strings.Fields(line); len(words) > 0 && !slices.Contains(wanted, words[0]) {
			wanted = append(wanted, words[0])
		}
	}
	var out []Finding
	for _, program := range wanted {
		f := Finding{Check: "program " + program}
		path, err := exec.LookPath(program)
		if f.OK, f.Detail = err == nil, path; !f.OK {
			f.Detail, f.Fix = "not installed", "sudo apt-get install "+packages(program)
		}
		out = append(out, f)
	}
	return out
}

// Free space of the data dir, in bytes.
const (
	enoughSpace = 1 << 30
	leastSpace  = 64 << 20
)

func dataDir(dir string) Finding {
	f := Finding{Check: "data directory"}
	at := dir
	for !exists(at) && filepath.Dir(at) != at { // serve makes what is missing
		at = filepath.Dir(at)
	}
	if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
		f.Detail, f.Fix = fmt.Sprintf("%s cannot be written: %v", at, err), "give yourself the right to write there, or choose another with --data-dir"
		return f
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(at, &fs); err != nil {
		f.Detail, f.Fix = fmt.Sprintf("%s: %v", at, err), "choose another with --data-dir"
		return f
	}
	free := fs.Bavail * uint64(fs.Bsize)
	f.Detail = fmt.Sprintf("%s, %d MiB free", dir, free>>20)
	f.OK, f.Note = free >= enoughSpace, free >= leastSpace
	if !f.OK {
		f.Fix = "make room, or choose another with --data-dir"
	}
	return f
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// earliest is before this program was made: a clock that shows less was never set.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// maxSkew is how far a server's clock may be off: certificates and meetings are timed.
const maxSkew = 2 * time.Second

func clock(ctx context.Context, o Options) Finding {
	now := time.Now()
	f := Finding{Check: "clock", OK: true, Detail: now.Format(time.RFC3339)}
	if now.Before(earliest) {
		return Finding{Check: f.Check, Detail: f.Detail + " cannot be right", Fix: "set the clock, for instance with: sudo timedatectl set-ntp true"}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if _, there, err := o.Server(ctx); err == nil && !there.IsZero() {
		// The Date header has whole seconds.
		if skew := time.Since(there); skew > maxSkew+time.Second || skew < -maxSkew {
			return Finding{Check: f.Check, Note: true, Detail: fmt.Sprintf("%s off the server's", skew.Round(time.Second).Abs()), Fix: "set both clocks, for instance with: sudo timedatectl set-ntp true"}
		}
	}
	return f
}

// loopback looks whether desktops can have addresses of their own.
func loopback(ctx context.Context) Finding {
	f := Finding{Check: "addresses for desktops", OK: true, Detail: "127.0.1.0/24"}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.1.1:0")
	if err != nil {
		return Finding{Check: f.Check, Detail: "127.0.1.1 cannot be used: " + err.Error(), Fix: "sudo ip addr add 127.0.0.0/8 dev lo"}
	}
	_ = l.Close() // it was only a try
	return f
}

func ports(ctx context.Context, o Options, running bool) []Finding {
	var out []Finding
	for _, p := range []struct{ check, network, address, flag string }{
		{"port for pages and API", "tcp", o.Listen, "--listen"},
		{"port for desktops", "tcp", o.Desktops, "--desktop-listen"},
		{"port for DNS", "udp", o.DNS, "--dns-listen"},
		{"port for DNS", "tcp", o.DNS, "--dns-listen"},
	} {
		if p.address == "" {
			continue
		}
		f := Finding{Check: p.check + " (" + p.network + ")", OK: true, Detail: p.address + " is free"}
		err := bindable(ctx, p.network, p.address)
		switch {
		case errors.Is(err, syscall.EADDRINUSE) && running:
			f.Detail = p.address + " is in use, and greenroom runs"
		case errors.Is(err, syscall.EADDRINUSE):
			f.OK, f.Detail, f.Fix = false, p.address+" is in use by another program", "stop that program, or choose another port with "+p.flag
		case err != nil:
			f.OK, f.Detail, f.Fix = false, err.Error(), "choose another address with "+p.flag
		}
		out = append(out, f)
	}
	return out
}

func bindable(ctx context.Context, network, address string) error {
	var c net.ListenConfig
	if network == "udp" {
		p, err := c.ListenPacket(ctx, network, address)
		if err == nil {
			err = p.Close()
		}
		return err
	}
	l, err := c.Listen(ctx, network, address)
	if err == nil {
		err = l.Close()
	}
	return err
}

// names looks whether programs beside browsers find desktops; browsers know *.localhost themselves.
func names(ctx context.Context, zone string) Finding {
	name := "i-00000000000000000." + zone
	f := Finding{Check: "names of desktops"}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err == nil && len(found) > 0 && !slices.ContainsFunc(found, func(a netip.Addr) bool { return !a.Unmap().IsLoopback() }) {
		f.OK, f.Detail = true, "*."+zone+" leads to this machine"
		return f
	}
	f.Note, f.Detail = strings.HasSuffix(zone, ".localhost"), "the system's resolver does not know *."+zone
	f.Fix = "nothing for browsers, which know *.localhost themselves; for other programs use systemd-resolved or curl --resolve"
	if !f.Note {
		f.Fix = "delegate the zone to this machine's DNS server, or use a zone below localhost"
	}
	return f
}

func authority(ctx context.Context, o Options) Finding {
	f := Finding{Check: "local authority"}
	ok, err := o.Trusted(ctx)
	switch {
	case err != nil:
		f.Note, f.Detail, f.Fix = true, greenroom.Sentence(err, err.Error()), "start the server once, then: greenroom trust"
	case !ok:
		f.Note, f.Detail, f.Fix = true, "browsers on this machine do not trust it yet", "greenroom trust"
	default:
		f.OK, f.Detail = true, "trusted by this machine"
	}
	return f
}

func serverFinding(ctx context.Context, o Options) (bool, Finding) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	f := Finding{Check: "server"}
	v, _, err := o.Server(ctx)
	if err != nil {
		f.Note, f.Detail, f.Fix = true, "not running ("+err.Error()+")", "greenroom serve"
		return false, f
	}
	f.OK, f.Detail = true, "running, version "+v
	return true, f
}

// meetings lists what does not move.
func meetings(ctx context.Context, o Options) []Finding {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := o.Stuck(ctx)
	switch {
	case err != nil:
		return []Finding{{Check: "meetings", Note: true, Detail: "could not be asked for: " + err.Error(), Fix: "greenroom list shows whether the server answers"}}
	case len(found) == 0:
		return []Finding{{Check: "meetings", OK: true, Detail: "none is stuck"}}
	}
	return found
}
