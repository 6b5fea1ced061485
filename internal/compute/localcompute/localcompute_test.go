package localcompute_test

import (
	"testing"

	"greenroom/internal/compute"
	"greenroom/internal/compute/computetest"
)

func TestProvider(t *testing.T) {
	t.Parallel()
	t.Run("Host", func(t *testing.T) {
		t.Parallel()
		computetest.Run(t, func(t *testing.T) compute.Provider { return newHouse(t) })
	})
	t.Run("Guest", func(t *testing.T) {
		t.Parallel()
		computetest.Run(t, func(t *testing.T) compute.Provider {
			h, r := guest(t)
			t.Cleanup(func() {
				select {
				case <-r.hosts:
				default:
					t.Error("the other process did not host")
				}
				if h.Hosts() {
					t.Error("this process became the host")
				}
			})
			return h
		})
	})
}
