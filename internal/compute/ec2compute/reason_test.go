package ec2compute_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/testenv/ec2test"
)

// TestWhyAMachineEndedIsTold by the code of its state, in a look of a process that knows nothing.
func TestWhyAMachineEndedIsTold(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		kind error
		says string
	}{
		"Server.InsufficientInstanceCapacity": {greenroom.ErrCapacity, "no machine of this type"},
		"Server.SpotInstanceTermination":      {greenroom.ErrCapacity, "took the spot machine back"},
		"Client.VolumeLimitExceeded":          {greenroom.ErrBlocked, "quota of disks"},
		"Client.InvalidSnapshot.NotFound":     {greenroom.ErrPermanent, "snapshot"},
		"Client.InternalError":                {greenroom.ErrPermanent, "kms:CreateGrant"},
		"Client.InvalidKMSKey.InvalidState":   {greenroom.ErrPermanent, "key"},
		"Client.InstanceInitiatedShutdown":    {nil, "from inside"},
		"Client.UserInitiatedShutdown":        {nil, "not by greenroom"},
		"Server.SomethingNew":                 {nil, "Server.SomethingNew"},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &ec2test.Server{Boot: 5 * time.Second}
				requests := pair(placeA)
				made := mustLaunch(t, open(s, ec2compute.Rates{}), requests...)
				s.Kill(made[0].ID, ec2test.Reason{Code: code, Message: code + ": as it is"})
				p := open(s, ec2compute.Rates{})
				list, err := p.List(t.Context(), requests[0].Handle.Meeting)
				if err != nil || len(list) != 2 {
					t.Fatal(list, err)
				}
				for _, m := range list {
					if m.ID != made[0].ID {
						if m.End != nil {
							t.Errorf("the other one is said to have ended: %v", m.End)
						}
						continue
					}
					if m.State != compute.ShuttingDown || !strings.Contains(greenroom.Sentence(m.End, ""), want.says) || !strings.Contains(m.End.Error(), code) {
						t.Errorf("%s, because of %v", m.State, m.End)
					}
					for _, kind := range []error{greenroom.ErrPermanent, greenroom.ErrCapacity, greenroom.ErrBlocked} {
						if errors.Is(m.End, kind) != (kind == want.kind) {
							t.Errorf("%v is %v: %t", m.End, kind, errors.Is(m.End, kind))
						}
					}
				}
				if avoided := p.Places(blueprint())[0] != placeA; avoided != errors.Is(want.kind, greenroom.ErrCapacity) {
					t.Errorf("the place is avoided: %t", avoided)
				}
				time.Sleep(3*time.Minute + time.Second)
				if _, err := p.List(t.Context(), requests[0].Handle.Meeting); err != nil || p.Places(blueprint())[0] != placeA {
					t.Errorf("three minutes later the place is still avoided: %v", err)
				}
			})
		})
	}
}
