package dnstest

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"greenroom/internal/dns"
)

// Thousand names 1,000 desktops in a zone with a gathering before its provider, a meeting's four at a time, and takes the names
// away again. Run serves the gathering. held counts the names in the provider's zone, calls what changed it; fewest is the least that its batches
// allow. It fails if there were more than 1.1 times as many.
func Thousand(t *testing.T, zone dns.Zone, run func(context.Context) error, domain string, held, calls func() int, fewest int) {
	t.Helper()
	const desktops, seats = 1000, 4
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	each := func(do func(ctx context.Context, records []dns.Record, names []string) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for m := range desktops / seats {
			var records []dns.Record
			var names []string
			for s := range seats {
				names = append(names, fmt.Sprintf("i-%04d.%s", m*seats+s, domain))
				records = append(records, dns.Record{Name: names[s], Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(m)})})
			}
			wg.Go(func() {
				if err := do(ctx, records, names); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	began := time.Now()
	each(func(ctx context.Context, records []dns.Record, _ []string) error {
		return zone.SetRecords(ctx, records)
	})
	named := time.Since(began)
	if got := held(); got != desktops {
		t.Errorf("%d names", got)
	}
	each(func(ctx context.Context, _ []dns.Record, names []string) error { return zone.DeleteRecords(ctx, names) })
	if got := held(); got != 0 {
		t.Errorf("%d names are left", got)
	}
	t.Logf("%d names: %d changing calls, %d are the fewest; named after %s", desktops, calls(), fewest, named.Round(time.Millisecond))
	if got := calls(); got*10 > fewest*11 {
		t.Errorf("%d calls, want at most 1.1 times %d", got, fewest)
	}
}
