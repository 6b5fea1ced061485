package ec2compute_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/plan"
	"greenroom/internal/testenv/ec2test"
)

// TestAFullQuotaIsBlocked for whatever may pass by itself, or by what an operator does at Amazon.
func TestAFullQuotaIsBlocked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault ec2test.Fault
		says  string
	}{
		{ec2test.Fault{Code: "VcpuLimitExceeded"}, "quota of virtual CPUs"},
		{ec2test.Fault{Code: "InstanceLimitExceeded"}, "no more machines of this type"},
		{ec2test.Fault{Code: "MaxSpotInstanceCountExceeded"}, "spot"},
		{ec2test.Fault{Code: "VolumeLimitExceeded"}, "quota of disks"},
		{ec2test.Fault{Code: "MaxIOPSLimitExceeded"}, "quota of the disks' speed"},
		{ec2test.Fault{Code: "PendingVerification"}, "still verifying"},
		{ec2test.Fault{Code: "OptInRequired"}, "accept its terms"},
		{ec2test.Fault{Code: "Blocked"}, "ask its support"},
		{ec2test.Fault{Code: "UnauthorizedOperation", Status: 403}, "permissions"},
		{ec2test.Fault{Code: "AuthFailure.ServiceLinkedRoleCreationNotPermitted", Status: 403}, "aws iam create-service-linked-role"},
		{ec2test.Fault{Code: "InvalidParameterValue", Message: "Value (desktops) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"}, "instance_profile"},
	} {
		t.Run(tt.fault.Code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := open(&ec2test.Server{Fault: faulty("RunInstances", tt.fault)}, ec2compute.Rates{})
				requests := pair(placeA)
				err := p.Launch(t.Context(), requests)[0].Err
				if !errors.Is(err, greenroom.ErrBlocked) || errors.Is(err, greenroom.ErrPermanent) || errors.Is(err, greenroom.ErrCapacity) {
					t.Errorf("refused with %v", err)
				}
				if says := greenroom.Sentence(err, ""); !strings.Contains(says, tt.says) || !strings.Contains(err.Error(), tt.fault.Code) {
					t.Errorf("people read %q of %v", says, err)
				}
				mustLaunch(t, p, requests...) // the same call works as soon as there is room
			})
		})
	}
}

// TestAFullQuotaAvoidsTheType wherever it is asked for, until one of our machines goes.
func TestAFullQuotaAvoidsTheType(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Quotas: map[string]int{"standard": 4}}
		p := open(s, ec2compute.Rates{})
		b := blueprint()
		b.EC2.InstanceTypes = []string{"t3.large", "g4dn.xlarge"}
		first := mustLaunch(t, p, pair(placeA)...)
		if err := p.Launch(t.Context(), pair(placeA))[0].Err; !errors.Is(err, greenroom.ErrBlocked) {
			t.Fatal(err)
		}
		if got := p.Places(b); len(got) != 2 || !strings.HasPrefix(got[0], "g4dn.xlarge/") {
			t.Errorf("places are %v", got)
		}
		if err := p.Terminate(t.Context(), first[0].ID, first[1].ID); err != nil {
			t.Fatal(err)
		}
		if got := p.Places(b); len(got) != 4 {
			t.Errorf("after a removal places are %v", got)
		}
	})
}

// moves carries one meeting as its engine does, until it is as wanted, and gives when.
func (h *house) moves(t *testing.T, id string, until time.Time, ok func(*greenroom.Meeting) bool) time.Time {
	for time.Now().Before(until) {
		step, err := h.Step(t.Context(), id)
		if err != nil {
			t.Error(err)
			return time.Time{}
		}
		if ok(&step.Meeting) {
			return time.Now()
		}
		calls := slices.DeleteFunc(step.Calls(), func(c []plan.Effect) bool { return c[0].Do == plan.Prove })
		for _, call := range calls {
			if err := h.Settle(t.Context(), step.Meeting, h.Perform(t.Context(), step, call)); err != nil {
				t.Error(err)
			}
		}
		for wake := time.Now().Add(time.Minute); len(calls) == 0 && time.Now().Before(wake); { // another meeting may wake it
			m, err := h.store.Meeting(t.Context(), id)
			if err != nil || !m.WakeAt.After(time.Now()) {
				break
			}
			time.Sleep(min(time.Until(m.WakeAt), 500*time.Millisecond))
		}
	}
	t.Errorf("waited in vain until %s", until)
	return time.Time{}
}

func booted(m *greenroom.Meeting) bool {
	return !slices.ContainsFunc(m.Seats, func(s greenroom.Seat) bool { return s.Desktop.InstanceID == "" })
}

// TestMeetingsBackToBackOnANewAccount has the five virtual CPUs of one: the second meeting gets its machines as soon as the first one's
// are gone, long after its start.
func TestMeetingsBackToBackOnANewAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Quotas: map[string]int{"standard": 5}, Latency: 300 * time.Millisecond, Boot: 5 * time.Second}
		h := newHouse(open(s, ec2compute.Rates{}))
		h.Records, h.Live = noZone{}, h.store.Live
		began := time.Now()
		first, second := h.schedule(t, began.Add(10*time.Minute)).ID, h.schedule(t, began.Add(10*time.Minute)).ID
		h.moves(t, first, began.Add(time.Minute), booted)
		var gone, got time.Time
		var wg sync.WaitGroup
		wg.Go(func() { got = h.moves(t, second, began.Add(2*time.Hour), booted) })
		time.Sleep(47 * time.Minute) // 37 minutes after the start of both
		m, err := h.store.Meeting(t.Context(), second)
		if err != nil || m.EndReason != "" || m.Seats[0].Failures != 0 || len(plan.Stuck(&m, time.Now())) != 2 {
			t.Fatalf("while it waits: %v, ended as %q, %+v", err, m.EndReason, plan.Stuck(&m, time.Now()))
		}
		m, _ = h.store.Meeting(t.Context(), first)
		e := plan.End(&m, greenroom.EndedByHost, "Over.", nil, time.Now())
		if _, err := h.store.Update(t.Context(), m, []greenroom.Event{e}); err != nil {
			t.Fatal(err)
		}
		gone = h.moves(t, first, began.Add(2*time.Hour), func(m *greenroom.Meeting) bool { return m.Closed })
		wg.Wait()
		if late := got.Sub(gone); late > 5*time.Second {
			t.Errorf("the machines came %s after those of the other meeting were gone", late)
		}
		if n := s.Calls("RunInstances"); n < 40 || n > 120 {
			t.Errorf("%d calls to launch in three quarters of an hour", n)
		}
	})
}

// TestAFullQuotaAsksForTheOtherFamily within the lead: two types of different quotas.
func TestAFullQuotaAsksForTheOtherFamily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Quotas: map[string]int{"standard": 0, "g": 8}, Latency: 300 * time.Millisecond, Boot: 5 * time.Second}
		h := newHouse(open(s, ec2compute.Rates{}))
		h.Records = noZone{}
		began := time.Now()
		m := h.schedule(t, began.Add(10*time.Minute))
		m.Blueprint.EC2.InstanceTypes = []string{"t3.large", "g4dn.xlarge"}
		if _, err := h.store.Update(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
		if took := h.moves(t, m.ID, began.Add(8*time.Minute), booted).Sub(began); took > time.Minute {
			t.Errorf("the other family was asked after %s", took)
		}
		if live := s.Machines(); len(live) != 2 || live[0].Type != "g4dn.xlarge" {
			t.Errorf("machines are %+v", live)
		}
	})
}
