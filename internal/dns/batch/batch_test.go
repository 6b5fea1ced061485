package batch_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/dns/batch"
)

// provider counts what it is asked, and knows its rate as the real ones do.
type provider struct {
	size  int
	pacer *dns.Pacer
	takes time.Duration // of each call

	mu      sync.Mutex
	names   map[string]netip.Addr
	calls   []time.Time
	largest int
	early   int       // calls while there should have been none
	quiet   time.Time // until then every call is refused
	bad     map[string]error
	settled int
}

func newProvider(size int) *provider {
	return &provider{size: size, pacer: dns.NewPacer(4, 1), names: map[string]netip.Addr{}, bad: map[string]error{}}
}

func (p *provider) BatchSize() int      { return p.size }
func (p *provider) NextCall() time.Time { return p.pacer.Next() }

func (p *provider) Settle(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled++
	return nil
}

// enter is one call: its turn, its time, and the provider's refusal.
func (p *provider) enter(ctx context.Context, n int) error {
	if err := p.pacer.Wait(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	p.calls = append(p.calls, time.Now())
	p.largest = max(p.largest, n)
	quiet := p.quiet
	p.mu.Unlock()
	if time.Now().Before(quiet) {
		p.mu.Lock()
		p.early++
		p.mu.Unlock()
		p.pacer.Silence(quiet)
		return &dns.ThrottledError{Until: quiet}
	}
	select {
	case <-time.After(p.takes):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *provider) SetRecords(ctx context.Context, records []dns.Record) error {
	if err := p.enter(ctx, len(records)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, r := range records {
		if err := p.bad[r.Name]; err != nil {
			errs = append(errs, &dns.RecordError{Name: r.Name, Err: err})
			continue
		}
		p.names[r.Name] = r.Address
	}
	return errors.Join(errs...)
}

func (p *provider) DeleteRecords(ctx context.Context, names []string) error {
	if err := p.enter(ctx, len(names)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		delete(p.names, name)
	}
	return nil
}

func (p *provider) GetRecords(context.Context) ([]dns.Record, error) { return nil, nil }

func (p *provider) has() map[string]netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.names)
}

func (p *provider) counted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

// inBubble runs test with fake time and a zone that runs.
func inBubble(t *testing.T, p func() *provider, test func(t *testing.T, p *provider, z *batch.Zone)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		provider := p()
		z := batch.New(provider)
		done := make(chan error, 1)
		go func() { done <- z.Run(ctx) }()
		test(t, provider, z)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func record(label string, last byte) dns.Record {
	return dns.Record{Name: label + ".desk.example", Address: netip.AddrFrom4([4]byte{192, 0, 2, last})}
}

// TestThousandDesktops names and removes 1,000 desktops, each by a caller of its own, as meetings do.
func TestThousandDesktops(t *testing.T) {
	for _, size := range []int{100, 200, 455, 3500} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			inBubble(t, func() *provider { return newProvider(size) }, func(t *testing.T, p *provider, z *batch.Zone) {
				const desktops = 1000
				fewest := 2 * ((desktops + size - 1) / size)
				for _, do := range []func(ctx context.Context, i int) error{
					func(ctx context.Context, i int) error {
						return z.SetRecords(ctx, []dns.Record{record(fmt.Sprintf("i-%d", i), byte(i))})
					},
					func(ctx context.Context, i int) error {
						return z.DeleteRecords(ctx, []string{record(fmt.Sprintf("i-%d", i), 0).Name})
					},
				} {
					var wg sync.WaitGroup
					for i := range desktops {
						wg.Go(func() {
							ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
							defer cancel()
							time.Sleep(time.Duration(i%90) * time.Millisecond)
							if err := do(ctx, i); err != nil {
								t.Errorf("%d: %v", i, err)
							}
						})
					}
					wg.Wait()
				}
				if got := p.counted(); float64(got) > 1.1*float64(fewest) {
					t.Errorf("%d calls, want at most 1.1 x %d", got, fewest)
				}
				if p.largest > size {
					t.Errorf("a call of %d names, more than %d", p.largest, size)
				}
				if len(p.has()) > 0 {
					t.Errorf("%d names are left", len(p.has()))
				}
				wantRate(t, p)
			})
		})
	}
}

// wantRate checks that no second saw more calls than the provider allows: 4 a second and one at once.
func wantRate(t *testing.T, p *provider) {
	t.Helper()
	for i, at := range p.calls {
		n := 0
		for _, other := range p.calls[i:] {
			if other.Before(at.Add(time.Second)) {
				n++
			}
		}
		if n > 5 {
			t.Errorf("%d calls within a second", n)
		}
	}
}

func TestLastWriteOfANameWins(t *testing.T) {
	inBubble(t, func() *provider { return newProvider(100) }, func(t *testing.T, p *provider, z *batch.Zone) {
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				var err error
				if i == 3 {
					err = z.DeleteRecords(t.Context(), []string{record("a", 0).Name})
				} else {
					err = z.SetRecords(t.Context(), []dns.Record{record("a", byte(i))})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := p.has()[record("a", 0).Name]; got != record("a", 4).Address {
			t.Errorf("got %v, want the last", got)
		}
		if got := p.counted(); got != 1 {
			t.Errorf("%d calls, want 1", got)
		}
	})
}

func TestEachCallerHasItsOwnResult(t *testing.T) {
	inBubble(t, func() *provider { return newProvider(100) }, func(t *testing.T, p *provider, z *batch.Zone) {
		p.bad[record("bad", 0).Name] = greenroom.ErrConflict
		var wg sync.WaitGroup
		for _, label := range []string{"a", "bad", "b"} {
			wg.Go(func() {
				err := z.SetRecords(t.Context(), []dns.Record{record(label, 1)})
				if errors.Is(err, greenroom.ErrConflict) != (label == "bad") {
					t.Errorf("%s: %v", label, err)
				}
			})
		}
		wg.Wait()
		if got := slices.Sorted(maps.Keys(p.has())); len(got) != 2 || p.counted() != 1 {
			t.Errorf("%v in %d calls", got, p.counted())
		}
		err := z.SetRecords(t.Context(), []dns.Record{record("c", 1), record("bad", 1)})
		if err == nil || strings.Contains(err.Error(), "c.desk") {
			t.Errorf("%v", err)
		}
	})
}

func TestWhatWasNotSentInTimeIsNotSent(t *testing.T) {
	inBubble(t, func() *provider {
		p := newProvider(100)
		p.takes = 5 * time.Second
		return p
	}, func(t *testing.T, p *provider, z *batch.Zone) {
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := z.SetRecords(t.Context(), []dns.Record{record("slow", 1)}); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second) // the first call is under way
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := z.SetRecords(ctx, []dns.Record{record("late", 1)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the deadline", err)
		}
		stopped, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		if err := z.SetRecords(stopped, []dns.Record{record("stopped", 1)}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want that it was cancelled", err)
		}
		wg.Wait()
		if err := z.SetRecords(t.Context(), []dns.Record{record("next", 1)}); err != nil {
			t.Error(err)
		}
		if got := slices.Sorted(maps.Keys(p.has())); !slices.Equal(got, []string{"next.desk.example", "slow.desk.example"}) {
			t.Errorf("%v took hold", got)
		}
	})
}

func TestACallEndsAtTheEarliestDeadlineAndTheOthersAreTriedAgain(t *testing.T) {
	inBubble(t, func() *provider {
		p := newProvider(100)
		p.takes = 3 * time.Second
		return p
	}, func(t *testing.T, p *provider, z *batch.Zone) {
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := z.SetRecords(ctx, []dns.Record{record("short", 1)}); err == nil {
				t.Error("no error")
			}
		})
		wg.Go(func() {
			if err := z.SetRecords(t.Context(), []dns.Record{record("long", 1)}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if got := slices.Sorted(maps.Keys(p.has())); !slices.Equal(got, []string{"long.desk.example"}) {
			t.Errorf("%v took hold", got)
		}
	})
}

func TestABlockIsKeptAndToldAtOnce(t *testing.T) {
	inBubble(t, func() *provider { return newProvider(100) }, func(t *testing.T, p *provider, z *batch.Zone) {
		p.quiet = time.Now().Add(5 * time.Minute)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { // effects, which have 20 seconds
				time.Sleep(time.Duration(i) * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				began := time.Now()
				err := z.SetRecords(ctx, []dns.Record{record(fmt.Sprint(i), 1)})
				throttled, ok := errors.AsType[*dns.ThrottledError](err)
				if !ok || !errors.Is(err, greenroom.ErrThrottled) || !throttled.Until.Equal(p.quiet) {
					t.Errorf("%v", err)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("told after %v", took)
				}
			})
		}
		wg.Go(func() { // somebody who has time
			if err := z.SetRecords(t.Context(), []dns.Record{record("patient", 1)}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if p.early != 1 {
			t.Errorf("%d calls during the block, want the one that learned of it", p.early)
		}
		if got := slices.Sorted(maps.Keys(p.has())); !slices.Equal(got, []string{"patient.desk.example"}) {
			t.Errorf("%v took hold", got)
		}
	})
}

func TestStopAnswersEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		z := batch.New(newProvider(100))
		go func() { _ = z.Run(ctx) }()
		time.AfterFunc(10*time.Millisecond, cancel)
		if err := z.SetRecords(t.Context(), []dns.Record{record("a", 1)}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
