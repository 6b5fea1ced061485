package ec2compute_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/testenv/ec2test"
)

// TestAProtectedMachineHoldsUpNoOther that is removed with it, and is told by its id.
func TestAProtectedMachineHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{}
		p := open(s, ec2compute.Rates{})
		var machines []compute.Instance
		for range 4 {
			machines = append(machines, mustLaunch(t, p, pair(placeA)...)...)
		}
		s.Protect(machines[2].ID, true)
		s.Protect(machines[5].ID, true)
		errs := make(chan [2]string, len(machines))
		for _, m := range machines {
			go func() { errs <- [2]string{m.ID, greenroom.Sentence(p.Terminate(t.Context(), m.ID), "")} }()
		}
		for range machines {
			got := <-errs
			protected := got[0] == machines[2].ID || got[0] == machines[5].ID
			if protected != strings.Contains(got[1], "--instance-id "+got[0]+" ") || !protected && got[1] != "" {
				t.Errorf("of %s is said %q", got[0], got[1])
			}
		}
		live := 0
		for _, m := range s.Machines() {
			if m.Live {
				live++
			}
		}
		if live != 2 || s.Calls("TerminateInstances") > 4 {
			t.Errorf("%d machines are left after %d calls", live, s.Calls("TerminateInstances"))
		}
		s.Protect(machines[2].ID, false)
		if err := p.Terminate(t.Context(), machines[2].ID); err != nil {
			t.Error(err)
		}
	})
}

// TestMachinesAreBornUnprotected whatever the launch template says.
func TestMachinesAreBornUnprotected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := open(&ec2test.Server{Guarded: true, Boot: time.Second}, ec2compute.Rates{})
		if err := p.Terminate(t.Context(), mustLaunch(t, p, pair(placeA)...)[0].ID); err != nil {
			t.Error(err)
		}
	})
}
