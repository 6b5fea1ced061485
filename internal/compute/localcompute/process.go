package localcompute

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
	"strconv"
	"strings"
	"syscall"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/logkey"
	"greenroom/internal/procs"
)

// mark is in the environment of every process of the desktop.
func mark(id string) string { return "GREENROOM_INSTANCE=" + id }

// start starts the agent, which gets the listener as its third file, in a session of its own, so that
// neither the end of this process nor a signal to its terminal reaches it; and notes it in the record. It
// starts nothing once ctx has ended.
func (h *host) start(ctx context.Context, i *instance, ln *net.TCPListener) error {
	file, err := ln.File()
	if err != nil {
		return err
	}
	defer file.Close()
	log, err := os.OpenFile(filepath.Join(i.dir, agentLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// No context: the desktop outlives whoever starts it.
	cmd := exec.CommandContext(context.Background(), h.opts.Executable, "agent", "--dir", i.dir)
	cmd.Args[0] = "greenroom" // the path of the program may be /proc/self/exe
	cmd.Dir, cmd.Stdout, cmd.Stderr = i.dir, log, log
	cmd.Env = append(h.environ(), mark(i.id))
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := ended(ctx); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start agent: %w", err)
	}
	agent, ok := procs.Find(cmd.Process.Pid)
	if !ok {
		return errors.Join(errors.New("start agent: it is not in the process table"), cmd.Process.Kill(), cmd.Wait())
	}
	i.agent, i.cmd = agent, cmd
	err = h.note(i, func() {
		i.record.PID, i.record.Start = agent.PID, agent.Start
		if i.state == compute.Pending {
			i.state = compute.Running
		}
	})
	if err != nil { // what is not on record must not live
		err = errors.Join(err, cmd.Process.Kill(), h.kill(i, nil))
		_ = cmd.Wait() // how it ended is in its log
		return err
	}
	return nil
}

// note changes the record, in memory and on disk.
func (h *host) note(i *instance, change func()) error {
	i.writing.Lock()
	defer i.writing.Unlock()
	h.mu.Lock()
	change()
	r := i.record
	h.mu.Unlock()
	return writeJSON(filepath.Join(i.dir, recordFile), r)
}

func (h *host) environ() []string {
	return withUTF8(slices.DeleteFunc(slices.Clone(h.opts.Environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return !slices.Contains([]string{"PATH", "LANG", "TZ"}, name) && !strings.HasPrefix(name, "LC_")
	}))
}

// recover takes up what an earlier process left in the directory.
func (h *host) recover() error {
	entries, err := os.ReadDir(h.opts.Dir)
	if err != nil {
		return fmt.Errorf("read the directory of the desktops: %w", err)
	}
	table, err := procs.List()
	if err != nil {
		return fmt.Errorf("read the process table: %w", err)
	}
	for _, entry := range entries {
		if err := h.adopt(entry, table); err != nil {
			return fmt.Errorf("take up %s: %w", entry.Name(), err)
		}
	}
	return nil
}

func (h *host) adopt(entry os.DirEntry, table []procs.Process) error {
	dir := filepath.Join(h.opts.Dir, entry.Name())
	id := strings.TrimPrefix(strings.TrimPrefix(entry.Name(), halfMade), halfRemoved)
	if !entry.IsDir() || !greenroom.ValidInstanceID(id) {
		return nil
	}
	if half(entry.Name()) {
		return os.RemoveAll(dir)
	}
	r, err := readRecord(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil // a directory of ours has a record from its first moment to its last
	}
	if err != nil {
		h.opts.Logger.Warn("removing desktop without a readable record", logkey.Instance, id, logkey.Err, err)
		r.Removing = true
	}
	i := &instance{id: id, dir: dir, record: r, launched: make(chan struct{}), state: compute.Running}
	close(i.launched)
	i.agent = findAgent(i, table)
	if i.agent.PID == 0 && r.PID == 0 && !r.Removing && !r.LaunchBy.IsZero() && past(r.LaunchBy) {
		return h.discard(i) // nobody waits for it any more
	}
	h.mu.Lock() // others are being removed already
	h.instances[id] = i
	h.mu.Unlock()
	switch {
	case r.Removing:
		i.state = compute.ShuttingDown
		h.wg.Go(func() { h.remove(i) })
		return nil
	case i.agent.PID != 0:
		if err := h.redirect(i); err != nil {
			h.opts.Logger.Warn("control URL not sent to desktop", logkey.Instance, id, logkey.Err, err)
		}
	case r.PID == 0:
		if err := h.restart(i); err != nil {
			return err
		}
	default:
		i.state = compute.Terminated
		h.wg.Go(func() { h.clear(i) })
		return nil
	}
	h.watch(i)
	return nil
}

// restart starts an instance whose intent was written, and nothing else.
func (h *host) restart(i *instance) error {
	ip, err := netip.ParseAddr(i.record.Address)
	if err != nil {
		return err
	}
	ln, err := listen(ip, h.opts.Port)
	if err != nil { // somebody has taken it since, and nobody was told of it yet
		if ln, err = h.addresses.reserve(h.opts.Port); err != nil {
			return err
		}
		i.record.Address = ln.Addr().(*net.TCPAddr).IP.String()
	}
	defer ln.Close()
	if err := h.redirect(i); err != nil {
		return err
	}
	return h.start(context.Background(), i, ln)
}

// findAgent finds the instance's agent among the living: the process of the record or, if the record was
// written before there was one, the first that bears the instance's mark, for it started all others.
func findAgent(i *instance, table []procs.Process) procs.Process {
	var first procs.Process
	for _, m := range procs.WithEnviron(table, mark(i.id)) {
		if m.Ended() || i.record.PID != 0 && (m.PID != i.record.PID || m.Start != i.record.Start) {
			continue
		}
		if first.PID == 0 || m.Start < first.Start || m.Start == first.Start && m.PID < first.PID {
			first = m
		}
	}
	return first
}

// watch waits for the agent's end.
func (h *host) watch(i *instance) {
	h.wg.Go(func() {
		if i.agent.Wait(h.ctx) != nil {
			return
		}
		if i.cmd != nil {
			_ = i.cmd.Wait() // how it ended is in its log
		}
		h.died(i)
	})
}

// died is called when the agent has ended, by itself or because it was told to.
func (h *host) died(i *instance) {
	h.mu.Lock()
	byItself := i.state != compute.ShuttingDown
	if byItself {
		i.state = compute.Terminated
	}
	meeting := i.seen().Handle.Meeting
	h.mu.Unlock()
	if !byItself {
		return
	}
	h.opts.Logger.Warn("desktop ended by itself", logkey.Instance, i.id, logkey.Meeting, meeting)
	h.opts.OnChange(meeting)
	h.clear(i)
}

// clear ends what a dead agent left running. Its directory stays, with its log, until somebody terminates it.
func (h *host) clear(i *instance) {
	if err := h.kill(i, nil); err != nil && h.ctx.Err() == nil {
		h.opts.Logger.Warn("processes of a dead desktop still running", logkey.Instance, i.id, logkey.Err, err)
	}
}

// agentGrace is how long an agent may take to end its desktop before everything is killed.
const agentGrace = 2 * time.Second

// kill ends every process of the instance: its family of before, and whatever bears the instance's mark,
// wherever it went.
func (h *host) kill(i *instance, family []procs.Process) error {
	if err := procs.End(h.ctx, 0, func() ([]procs.Process, error) {
		table, err := procs.List()
		return append(procs.WithEnviron(table, mark(i.id)), alive(family, table)...), err
	}); err != nil {
		return err
	}
	text, _ := os.ReadFile(filepath.Join(i.dir, displayFile)) // there is none before there is a display
	if number, bad := strconv.Atoi(string(text)); bad == nil {
		procs.RemoveDisplay(h.ctx, number)
	}
	return nil
}

// alive returns those of family that are still in table.
func alive(family, table []procs.Process) []procs.Process {
	return slices.DeleteFunc(slices.Clone(table), func(p procs.Process) bool {
		return !slices.ContainsFunc(family, func(f procs.Process) bool { return f.PID == p.PID && f.Start == p.Start })
	})
}
