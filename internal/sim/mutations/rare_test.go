//go:build rare

package mutations_test

import (
	"testing"

	"greenroom/internal/sim/mutations"
)

// TestRareMutationsAreFound takes minutes.
func TestRareMutationsAreFound(t *testing.T) {
	t.Parallel()
	find(t, mutations.Rare, "storm", mutations.RareLives)
}
