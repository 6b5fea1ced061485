package sim

import "testing"

func TestSmoke(t *testing.T) {
	for seed := range uint64(600) {
		r := Run(seed, Options{Climate: "storm"})
		if r.Broken != "" {
			r = Run(seed, Options{Climate: r.Climate, Trace: true})
			t.Fatalf("seed %d %s: %s\n%s", seed, r.Climate, r.Broken, r.Trace)
		}
	}
}
