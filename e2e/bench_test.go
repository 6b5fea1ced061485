package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom/internal/httpapi/client"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
)

// BenchmarkServe measures the resident memory of the real server with 100,000 meetings scheduled, two looks of
// its engine and one list of them later. An empty server in the same run is the peer.
func BenchmarkServe(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("%d meetings", n), func(b *testing.B) {
			for b.Loop() {
				s := newInstance(b)
				schedule(b, s.data, n)
				began := time.Now()
				s.start()
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "start-ms")
				<-time.After(12 * time.Second) // a few looks of the scheduler
				s.until("the list", func(ctx context.Context) bool {
					list, err := s.api.List(ctx, client.Filter{})
					return err == nil && (n == 0 || len(list.Meetings) > 0)
				})
				b.ReportMetric(memory(b, s.cmd.Process.Pid), "rss-MiB")
				s.kill()
			}
		})
	}
}

// schedule puts meetings of tomorrow into the database of a server that does not run.
func schedule(b *testing.B, data string, n int) {
	b.Helper()
	s, err := sqlstore.Open(b.Context(), sqlstore.Options{Path: filepath.Join(data, "greenroom.db")})
	if err != nil {
		b.Fatal(err)
	}
	const writers = 256
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				if _, _, err := s.Create(b.Context(), storetest.Meeting(time.Now().Add(24*time.Hour)), nil, store.Idempotency{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// memory is the resident memory of a process in MiB.
func memory(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatal("the kernel does not tell the resident memory")
	return 0
}
