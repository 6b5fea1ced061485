package localcompute_test

import (
	"testing"

	"greenroom/internal/compute"
	"greenroom/internal/compute/computetest"
)

func TestProvider(t *testing.T) {
	t.Parallel()
	computetest.Run(t, func(t *testing.T) compute.Provider { return newHouse(t) })
}
