package ec2compute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/compute"
	"greenroom/internal/compute/computetest"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/testenv/ec2test"
)

func open(server *ec2test.Server, rates ec2compute.Rates) *ec2compute.Provider {
	return ec2compute.New(ec2compute.Options{Owner: "o1", Rates: rates, Logger: slog.New(slog.DiscardHandler),
		AWS: aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), HTTPClient: server}})
}

func blueprint() greenroom.Blueprint {
	b := greenroom.DefaultBlueprint()
	b.Provider = "ec2"
	b.EC2 = greenroom.EC2{Image: ec2test.Image, InstanceTypes: []string{"t3.large"}, Subnets: []string{ec2test.SubnetA, ec2test.SubnetB}, SecurityGroups: []string{ec2test.Group}}
	return b
}

// onEC2 gives the suite's requests a blueprint that EC2 can use.
type onEC2 struct{ *ec2compute.Provider }

func (p onEC2) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	for i := range requests {
		requests[i].Blueprint = blueprint()
	}
	return p.Provider.Launch(ctx, requests)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	rates := ec2compute.Rates{RunRequests: ec2compute.Rate{Burst: 100, PerSecond: 10}}
	computetest.Run(t, func(*testing.T) compute.Provider {
		return onEC2{open(&ec2test.Server{Boot: 50 * time.Millisecond}, rates)}
	})
}

func TestConformanceWithLag(t *testing.T) {
	t.Parallel()
	rates := ec2compute.Rates{RunRequests: ec2compute.Rate{Burst: 100, PerSecond: 10}, Describe: ec2compute.Rate{Burst: 1000, PerSecond: 100}}
	computetest.Run(t, func(*testing.T) compute.Provider {
		return onEC2{open(&ec2test.Server{Lag: time.Second, Page: 2}, rates)}
	})
}

// seats are the requests of a meeting's desktops that start together.
func seats(meeting, place string, startsAt time.Time, roles ...string) []compute.Request {
	var names []string
	for _, r := range roles {
		names = append(names, r+".1")
	}
	killAt := startsAt.Add(12 * time.Hour)
	data, _ := json.Marshal(agentapi.UserData{ControlURL: "https://meet.example.com", Secret: "once", KillAt: killAt})
	var out []compute.Request
	for _, r := range roles {
		out = append(out, compute.Request{Handle: greenroom.Handle{Meeting: meeting, Seat: r, Attempt: 1}, Blueprint: blueprint(),
			Launch: greenroom.Launch{Seats: names, Place: place}, StartsAt: startsAt, KillAt: killAt, UserData: data})
	}
	return out
}

const placeA, placeB = "t3.large/" + ec2test.SubnetA, "t3.large/" + ec2test.SubnetB

func pair(place string) []compute.Request {
	return seats(greenroom.NewMeetingID(), place, time.Now().Add(10*time.Minute), "teacher", "student")
}

func mustLaunch(t *testing.T, p *ec2compute.Provider, requests ...compute.Request) []compute.Instance {
	t.Helper()
	var out []compute.Instance
	for _, o := range p.Launch(t.Context(), requests) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		out = append(out, o.Instance)
	}
	return out
}

// faulty lets the next call of an action go wrong.
func faulty(action string, f ec2test.Fault) func(ec2test.Call) (ec2test.Fault, bool) {
	used := false
	return func(c ec2test.Call) (ec2test.Fault, bool) {
		if used || c.Action != action {
			return ec2test.Fault{}, false
		}
		used = true
		return f, true
	}
}

func TestOneCallForAMeeting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Latency: time.Second}
		p := open(s, ec2compute.Rates{})
		requests := pair(placeA)
		got := mustLaunch(t, p, requests...)
		if s.Calls("RunInstances") != 1 || len(s.Machines()) != 2 || got[0].ID == got[1].ID {
			t.Fatalf("%d calls made %d machines", s.Calls("RunInstances"), len(s.Machines()))
		}
		m := s.Machines()[0]
		want := map[string]string{"greenroom:owner": "o1", "greenroom:meeting": requests[0].Handle.Meeting, "greenroom:seats": "teacher.1 student.1", "greenroom:token": m.Token,
			"greenroom:kill-at": requests[0].KillAt.UTC().Format(time.RFC3339), "greenroom:address": "public", "Name": "greenroom " + requests[0].Handle.Meeting}
		for k, v := range want {
			if m.Tags[k] != v {
				t.Errorf("tag %s is %q, want %q", k, m.Tags[k], v)
			}
		}
		if string(m.UserData) != string(requests[0].UserData) {
			t.Errorf("user data is %s", m.UserData)
		}
		// Another process, which knows nothing, sees the same machines in the same seats.
		list, err := open(s, ec2compute.Rates{}).List(t.Context(), requests[0].Handle.Meeting)
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		for i, l := range list {
			if l.ID != got[i].ID || l.Handle != got[i].Handle || !strings.HasPrefix(l.Address, "203.") {
				t.Errorf("listed as %+v, launched as %+v", l, got[i])
			}
		}
	})
}

// TestRetriesAfterALostAnswer asks again in every way in which another process can: for both, for one, in another order.
// TestTheAccountIsLearnt from the answer to a launch, and by another process from a look.
func TestTheAccountIsLearnt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &ec2test.Server{}
		p, other := open(server, ec2compute.Rates{}), open(server, ec2compute.Rates{})
		if a := p.Account(); a != "" {
			t.Errorf("before the first machine the account is %q", a)
		}
		if err := p.Launch(t.Context(), seats(greenroom.NewMeetingID(), p.Places(blueprint())[0], time.Now(), "teacher"))[0].Err; err != nil {
			t.Fatal(err)
		}
		if _, err := other.List(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if p.Account() != ec2test.Account || other.Account() != ec2test.Account {
			t.Errorf("the account is %q after a launch, %q after a look", p.Account(), other.Account())
		}
	})
}

func TestRetriesAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for _, fault := range []ec2test.Fault{{Lost: true}, {Partial: true}} {
		for name, again := range map[string][]int{"both": {0, 1}, "turned round": {1, 0}, "the first": {0}, "the second": {1}} {
			t.Run(fmt.Sprintf("%s %+v", name, fault), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &ec2test.Server{Lag: 5 * time.Second, Fault: faulty("RunInstances", fault)}
					requests := pair(placeA)
					first := open(s, ec2compute.Rates{}).Launch(t.Context(), requests)
					if first[1].Err == nil {
						t.Fatal("the answer was not lost")
					}
					p := open(s, ec2compute.Rates{})
					var retry []compute.Request
					for _, i := range again {
						retry = append(retry, requests[i])
					}
					for i, m := range mustLaunch(t, p, retry...) {
						if want := s.Machines()[again[i]].ID; m.ID != want || m.Handle != retry[i].Handle {
							t.Errorf("%s got %s, want %s", retry[i].Handle.Seat, m.ID, want)
						}
					}
					if len(s.Machines()) != 2 {
						t.Errorf("%d machines for two seats", len(s.Machines()))
					}
				})
			})
		}
	}
}

func TestRetryInOtherWordsFindsTheMachines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Lag: 5 * time.Second}
		requests := pair(placeA)
		made := mustLaunch(t, open(s, ec2compute.Rates{}), requests...)
		for i := range requests {
			requests[i].UserData = []byte(`{"control_url":"https://elsewhere.example.com"}`)
		}
		p := open(s, ec2compute.Rates{})
		if o := p.Launch(t.Context(), requests); o[0].Err != nil && (errors.Is(o[0].Err, greenroom.ErrPermanent) || errors.Is(o[0].Err, greenroom.ErrCapacity)) {
			t.Errorf("what is not listed yet is taken for impossible: %v", o[0].Err)
		}
		time.Sleep(10 * time.Second)
		for i, m := range mustLaunch(t, p, requests...) {
			if m.ID != made[i].ID {
				t.Errorf("got %s, want %s", m.ID, made[i].ID)
			}
		}
		if len(s.Machines()) != 2 {
			t.Errorf("%d machines for two seats", len(s.Machines()))
		}
	})
}

func TestNoCapacityAvoidsThePlaceForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Fault: faulty("RunInstances", ec2test.Fault{Code: "InsufficientInstanceCapacity", Status: http.StatusInternalServerError})}
		p := open(s, ec2compute.Rates{})
		b := blueprint()
		b.EC2.InstanceTypes = []string{"t3.large", "m7i.large"}
		before := p.Places(b)
		if len(before) != 4 || before[0] != placeA || before[1] != placeB {
			t.Fatalf("places are %v", before)
		}
		for _, o := range p.Launch(t.Context(), pair(placeA)) {
			if !errors.Is(o.Err, greenroom.ErrCapacity) || !strings.Contains(greenroom.Sentence(o.Err, ""), "no machine of this type") {
				t.Errorf("refused with %v", o.Err)
			}
		}
		if got := p.Places(b); len(got) != 3 || got[0] != placeB {
			t.Errorf("after the refusal places are %v", got)
		}
		time.Sleep(3*time.Minute + time.Second)
		if got := p.Places(b); len(got) != 4 {
			t.Errorf("three minutes later places are %v", got)
		}
	})
}

func TestRefusalsAreToldByKind(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		kind error
		says string
	}{
		"InvalidAMIID.NotFound":              {greenroom.ErrPermanent, "image"},
		"InvalidAMIID.Malformed":             {greenroom.ErrPermanent, "image"},
		"InvalidParameterValue":              {greenroom.ErrPermanent, "value of the blueprint"},
		"InvalidParameterCombination":        {greenroom.ErrPermanent, "value of the blueprint"},
		"InvalidGroup.NotFound":              {greenroom.ErrPermanent, "security group"},
		"InvalidLaunchTemplateName.NotFound": {greenroom.ErrPermanent, "launch template"},
		"InsufficientFreeAddressesInSubnet":  {greenroom.ErrCapacity, "subnet"},
		"Unsupported":                        {greenroom.ErrCapacity, "does not offer"},
		"AuthFailure":                        {nil, "credentials"},
		"InternalError":                      {nil, ""},
		"SomethingNew":                       {nil, ""},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &ec2test.Server{Fault: faulty("RunInstances", ec2test.Fault{Code: code})}
				p := open(s, ec2compute.Rates{})
				requests := pair(placeA)
				err := p.Launch(t.Context(), requests)[0].Err
				for _, kind := range []error{greenroom.ErrPermanent, greenroom.ErrCapacity, greenroom.ErrThrottled} {
					if errors.Is(err, kind) != (kind == want.kind) {
						t.Errorf("%v is %v: %t", err, kind, errors.Is(err, kind))
					}
				}
				if says := greenroom.Sentence(err, ""); !strings.Contains(says, want.says) || (says == "") != (want.says == "") {
					t.Errorf("people read %q", says)
				}
				if err == nil || !strings.Contains(err.Error(), code) {
					t.Errorf("the detail %v does not name the code", err)
				}
				mustLaunch(t, p, requests...) // the next try is a new one
			})
		})
	}
}

func TestThrottledLaunchIsAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Fault: faulty("RunInstances", ec2test.Fault{Code: "RequestLimitExceeded", Status: http.StatusServiceUnavailable})}
		p := open(s, ec2compute.Rates{})
		began := time.Now()
		mustLaunch(t, p, pair(placeA)...)
		if waited := time.Since(began); waited < time.Second || waited > 5*time.Second {
			t.Errorf("it was quiet for %v", waited)
		}
	})
}

func TestTooMuchToTellIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{}
		requests := pair(placeA)
		for i := range requests {
			requests[i].UserData = make([]byte, 16<<10+1)
		}
		if err := open(s, ec2compute.Rates{}).Launch(t.Context(), requests)[0].Err; !errors.Is(err, greenroom.ErrPermanent) || s.Calls("") != 0 {
			t.Errorf("%d calls, %v", s.Calls(""), err)
		}
	})
}

func TestForeignMachinesAreLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{}
		foreign := []string{s.Add(nil), s.Add(map[string]string{"greenroom:owner": "o2", "greenroom:meeting": "m", "greenroom:seats": "teacher.1"})}
		p := open(s, ec2compute.Rates{})
		if list, err := p.List(t.Context(), ""); err != nil || len(list) != 0 {
			t.Errorf("lists %v, %v", list, err)
		}
		if err := p.Terminate(t.Context(), foreign...); err != nil {
			t.Error(err)
		}
		for _, m := range s.Machines() {
			if !m.Live {
				t.Errorf("%s was not ours, and is gone", m.ID)
			}
		}
		if s.Calls("TerminateInstances") != 0 {
			t.Error("their removal was asked for")
		}
	})
}

func TestForgottenIDsDoNotSpareTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Remains: time.Minute}
		p := open(s, ec2compute.Rates{})
		old := append(mustLaunch(t, p, pair(placeA)...), mustLaunch(t, p, pair(placeA)...)...)
		for n, count := range []int{1, 2} { // EC2 has other words for one than for several
			gone := old[n : n+count]
			for _, g := range gone {
				if err := p.Terminate(t.Context(), g.ID); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Minute)
			live := mustLaunch(t, p, pair(placeA)...)
			ids := []string{live[0].ID, live[1].ID}
			for _, g := range gone {
				ids = append(ids, g.ID)
			}
			if err := p.Terminate(t.Context(), ids...); err != nil {
				t.Error(err)
			}
			for _, m := range s.Machines() {
				if m.Live && (m.ID == live[0].ID || m.ID == live[1].ID) {
					t.Errorf("%s lives: %d forgotten ids were asked for with it", m.ID, count)
				}
			}
		}
	})
}

func TestManyWhoLookAtOnceShareOneLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Latency: 200 * time.Millisecond, Page: 50}
		p := open(s, ec2compute.Rates{RunRequests: ec2compute.Rate{Burst: 200, PerSecond: 2}})
		var meetings []string
		for range 60 {
			r := pair(placeA)
			mustLaunch(t, p, r...)
			meetings = append(meetings, r[0].Handle.Meeting)
		}
		done := make(chan error)
		for _, m := range meetings {
			go func() {
				list, err := p.List(t.Context(), m)
				if err == nil && len(list) != 2 {
					err = fmt.Errorf("meeting %s has %v", m, list)
				}
				done <- err
			}()
		}
		for range meetings {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := s.Calls("DescribeInstances"); n != 3 { // 120 machines on pages of 50
			t.Errorf("%d calls for one look", n)
		}
		var ids []string
		for _, m := range s.Machines() {
			ids = append(ids, m.ID)
		}
		for _, id := range ids {
			go func() { done <- p.Terminate(t.Context(), id) }()
		}
		for range ids {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := s.Calls("TerminateInstances"); n != 1 {
			t.Errorf("%d calls for one removal", n)
		}
	})
}

func TestYoungMachinesAreNotMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &ec2test.Server{Lag: 20 * time.Second, Boot: time.Minute}
		p := open(s, ec2compute.Rates{})
		requests := pair(placeA)
		mustLaunch(t, p, requests...)
		for range 40 {
			if list, err := p.List(t.Context(), requests[0].Handle.Meeting); err != nil || len(list) != 2 {
				t.Fatalf("%v, %v", list, err)
			}
			time.Sleep(time.Second)
		}
	})
}
