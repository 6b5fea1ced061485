package localcompute_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agenttest"
	"greenroom/internal/compute"
	"greenroom/internal/compute/computetest"
	"greenroom/internal/compute/localcompute"
)

func TestOneOfManyHosts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Close()
	replicas := []*replica{h.replica(t), h.replica(t), h.replica(t)}
	for _, r := range replicas {
		await(t, "open", r.open)
	}
	for len(replicas) > 0 {
		host := -1
		agenttest.Eventually(t, "a host", func() bool {
			for n, r := range replicas {
				select {
				case <-r.hosts:
					host = n
				default:
				}
			}
			return host >= 0
		})
		for n, r := range replicas {
			select {
			case <-r.hosts:
				if n != host {
					t.Fatal("there are two hosts")
				}
			default:
			}
		}
		replicas[host].kill(t)
		replicas = append(replicas[:host], replicas[host+1:]...)
	}
	h.Provider = h.open(t)
}

func TestHandOver(t *testing.T) {
	t.Parallel()
	h, r := guest(t)
	of := handle("teacher")
	i := h.ready(t, of)
	before := agentOf(t, h, i)
	before.Parent = 0 // it loses its parent
	began := time.Now()
	r.signal(t, syscall.SIGTERM)
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("the host ended with %v", err)
	}
	list, err := h.List(t.Context(), of.Meeting)
	after := agentOf(t, h, i)
	after.Parent = 0
	if err != nil || len(list) != 1 || list[0].ID != i.ID || list[0].State != compute.Running || after != before {
		t.Errorf("after the hand-over: %+v, %v", list, err)
	}
	agenttest.Eventually(t, "hosting", h.Hosts)
	t.Logf("the hand-over took %s", time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the hand-over took %s", took)
	}
	next := h.replica(t)
	await(t, "open", next.open)
	h.Close()
	await(t, "the next host", next.hosts)
	next.kill(t)
	h.Provider = h.open(t)
}

func TestDesktopsFollowTheHost(t *testing.T) {
	t.Parallel()
	needDesktops(t)
	h := &house{control: agenttest.NewControlPlane(t), dir: filepath.Join(t.TempDir(), "desktops"), changed: make(chan string, 64)}
	to, err := url.Parse(h.control.URL())
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32 // by way of the first host
	proxy := httputil.NewSingleHostReverseProxy(to)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	r := startReplica(t, h.dir, front.URL)
	await(t, "a host", r.hosts)
	h.Provider = h.open(t)
	t.Cleanup(func() { h.demolish(t) })

	of := handle("teacher")
	i := h.ready(t, of) // asked for with this process's own address
	if asked.Load() == 0 {
		t.Error("the desktop was not told the host's address")
	}
	r.kill(t)
	front.CloseClientConnections()
	front.Close()
	agenttest.Eventually(t, "hosting", h.Hosts)
	conn := screen(t, h.enter(t, of, i)) // which is reported
	defer conn.CloseNow()
	h.control.Await(t, of, "the connection", func(m *agenttest.Machine) bool { return len(m.Report.Connections) == 1 })
}

// TestKilledHost kills the host at any moment of a meeting's desktops' life. Nobody may notice but by the time it takes.
func TestKilledHost(t *testing.T) {
	t.Parallel()
	for n := range 8 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			h, r := guest(t)
			m := greenroom.NewMeetingID()
			requests := []compute.Request{computetest.Request(m, "teacher", 1), computetest.Request(m, "student", 1)}
			moment := time.Duration(rand.IntN(20+40*n)) * time.Millisecond
			t.Logf("killed after %s", moment)
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() {
				<-time.After(moment)
				r.kill(t)
			})
			ids := launchOne(t, h, requests)
			wg.Go(func() { launchOne(t, h, requests) }) // somebody asks again
			list, err := h.List(t.Context(), m)
			if err != nil || len(list) != len(requests) {
				t.Errorf("listed: %+v, %v", list, err)
			}
			for _, id := range ids {
				if n := len(running(t, id, "Xtigervnc")); n > 1 {
					t.Errorf("%d screens", n)
				}
			}
			wg.Wait()
			if err := h.Terminate(t.Context(), ids...); err != nil {
				t.Error(err)
			}
			agenttest.Eventually(t, "nothing left", func() bool {
				left, err := h.List(t.Context(), "")
				return err == nil && len(left) == 0
			})
			for _, id := range ids {
				if left := bearing(t, id); len(left) > 0 {
					t.Errorf("processes of %s are left: %v", id, left)
				}
			}
			wantOnlyMeetingPoint(t, h.dir)
		})
	}
}

// TestKilledHostWhileRemoving kills it while desktops go.
func TestKilledHostWhileRemoving(t *testing.T) {
	t.Parallel()
	for n := range 4 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			h, r := guest(t)
			m := greenroom.NewMeetingID()
			ids := launchOne(t, h, []compute.Request{computetest.Request(m, "teacher", 1), computetest.Request(m, "student", 1)})
			var wg sync.WaitGroup
			wg.Go(func() {
				<-time.After(time.Duration(rand.IntN(80)) * time.Millisecond)
				r.kill(t)
			})
			if err := h.Terminate(t.Context(), ids...); err != nil {
				t.Error(err)
			}
			agenttest.Eventually(t, "nothing left", func() bool {
				left, err := h.List(t.Context(), "")
				if err != nil {
					t.Error(err)
				}
				for _, i := range left {
					if i.State != compute.ShuttingDown {
						t.Errorf("%s is %s after it was to go", i.ID, i.State)
					}
				}
				return len(left) == 0
			})
			wg.Wait()
			for _, id := range ids {
				if left := bearing(t, id); len(left) > 0 {
					t.Errorf("processes of %s are left: %v", id, left)
				}
			}
			wantOnlyMeetingPoint(t, h.dir)
		})
	}
}

func launchOne(t *testing.T, h *house, requests []compute.Request) (ids []string) {
	t.Helper()
	for _, o := range h.Launch(t.Context(), requests) {
		if o.Err != nil {
			t.Error(o.Err)
			continue
		}
		ids = append(ids, o.Instance.ID)
	}
	return ids
}

// wantOnlyMeetingPoint checks that no desktop has left anything in the directory.
func wantOnlyMeetingPoint(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "host.") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestStoppedHost(t *testing.T) {
	t.Parallel()
	h, r := guest(t)
	of := handle("teacher")
	r.signal(t, syscall.SIGSTOP)
	began := time.Now()
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		o := h.Launch(short, []compute.Request{computetest.Request(of.Meeting, of.Seat, 1)})[0]
		if took := time.Since(began); o.Err == nil || errors.Is(o.Err, greenroom.ErrPermanent) || took > 8*time.Second {
			t.Errorf("a launch of one second ended after %s with %v", took, o.Err)
		}
	})
	wg.Go(func() {
		_, err := h.List(t.Context(), "")
		if took := time.Since(began); err == nil || errors.Is(err, greenroom.ErrPermanent) || took > 20*time.Second {
			t.Errorf("a list without a bound ended after %s with %v", took, err)
		}
	})
	wg.Wait()
	if h.Hosts() {
		t.Error("the directory of a stopped host was taken over")
	}
	r.signal(t, syscall.SIGCONT)
	list, err := h.List(t.Context(), "")
	if err != nil || len(list) != 0 {
		t.Errorf("the launch that had ended took hold: %v, %v", list, err)
	}
	launchOne(t, h, []compute.Request{computetest.Request(of.Meeting, of.Seat, 1)})
	if list, err := h.List(t.Context(), ""); err != nil || len(list) != 1 {
		t.Errorf("listed: %v, %v", list, err)
	}
}

// late is the context of a process that was stopped when the intent stood on the disk: the deadline has passed,
// and no timer has fired yet.
type late struct {
	context.Context
	intent string
}

func (l late) Deadline() (time.Time, bool) {
	if _, err := os.Stat(l.intent); err == nil {
		return time.Now().Add(-time.Second), true
	}
	return time.Now().Add(time.Minute), true
}

func TestNothingStartsTooLate(t *testing.T) {
	t.Parallel()
	t.Run("StoppedAfterTheIntent", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		ctx := late{t.Context(), filepath.Join(h.dir, greenroom.InstanceIDFromToken(of.Token()))}
		o := h.Launch(ctx, []compute.Request{computetest.Request(of.Meeting, of.Seat, 1)})[0]
		if !errors.Is(o.Err, context.DeadlineExceeded) || len(bearing(t, filepath.Base(ctx.intent))) != 0 {
			t.Errorf("it was started: %v", o.Err)
		}
		wantOnlyMeetingPoint(t, h.dir)
	})
	t.Run("KilledAfterTheIntent", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		id := greenroom.InstanceIDFromToken(of.Token())
		h.Close()
		writeInstance(t, h, id, fmt.Sprintf(`{"token":%q,"address":"127.0.1.1","launch_by":%q}`, of.Token(), time.Now().Add(-time.Second).Format(time.RFC3339Nano)))
		h.Provider = h.open(t)
		if list, err := h.List(t.Context(), ""); err != nil || len(list) != 0 || len(bearing(t, id)) != 0 {
			t.Errorf("it was started: %v, %v", list, err)
		}
		wantOnlyMeetingPoint(t, h.dir)
	})
}

func TestErrorsSurviveTheWire(t *testing.T) {
	t.Parallel()
	for _, kind := range []error{greenroom.ErrCapacity, greenroom.ErrThrottled, greenroom.ErrPermanent, greenroom.ErrUnavailable} {
		far := localcompute.Fail(fmt.Errorf("launch: %w", &greenroom.UserError{Message: "Install it.", Cause: kind})).Err()
		if !errors.Is(far, kind) || greenroom.Sentence(far, "") != "Install it." || far.Error() != "launch: Install it: "+kind.Error() {
			t.Errorf("%v came over as %v", kind, far)
		}
	}
	far := localcompute.Fail(errors.New("odd")).Err()
	if errors.Is(far, greenroom.ErrPermanent) || greenroom.Sentence(far, "none") != "none" {
		t.Errorf("an error of no kind came over as %v", far)
	}
	if localcompute.Fail(nil).Err() != nil {
		t.Error("no error came over as one")
	}
}

func TestMeetingPoint(t *testing.T) {
	t.Parallel()
	t.Run("LongDirectory", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
		r := startReplica(t, dir, "")
		await(t, "a host", r.hosts)
		h := &house{control: agenttest.NewControlPlane(t), dir: dir}
		h.Provider = h.open(t)
		defer h.Close()
		if list, err := h.List(t.Context(), ""); err != nil || len(list) != 0 {
			t.Errorf("listed: %v, %v", list, err)
		}
	})
	t.Run("IsPrivate", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		for _, name := range []string{"host.sock", "host.lock"} {
			if info, err := os.Stat(filepath.Join(h.dir, name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
		h.Close()
		if _, err := os.Stat(filepath.Join(h.dir, "host.sock")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
		h.Provider = h.open(t)
	})
	t.Run("ClosedSaysSo", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		h.Close()
		_, err := h.List(t.Context(), "")
		if err == nil || h.Terminate(t.Context(), "i-00000000000000000") == nil ||
			h.Launch(t.Context(), []compute.Request{computetest.Request(greenroom.NewMeetingID(), "teacher", 1)})[0].Err == nil {
			t.Error("a closed provider goes on")
		}
		h.Provider = h.open(t)
	})
}
