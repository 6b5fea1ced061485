package meetings

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenroom"
)

func TestTakeMachinesOfToday(t *testing.T) {
	t.Parallel()
	was := greenroom.DefaultBlueprint()
	was.Provider = greenroom.ProviderEC2
	was.EC2 = greenroom.EC2{Image: "ami-00000000", InstanceTypes: []string{"t3.large"}}
	was.SetRoles([]greenroom.Role{{Name: "teacher", Count: 1, Image: "ami-11111111"}, {Name: "student", Count: 3}})
	today := was
	today.EC2 = greenroom.EC2{Image: "ami-22222222", InstanceTypes: []string{"m7i.large"}}
	today.Applications, today.Rules.Lead, today.Screen = []string{"xclock"}, 0, "640x480"
	today.SetRoles([]greenroom.Role{{Name: "teacher", Count: 2, Image: "ami-33333333"}})

	got := was
	takeMachines(&got, today)
	want := was
	want.EC2, want.Applications = today.EC2, today.Applications
	want.SetRoles([]greenroom.Role{{Name: "teacher", Count: 1, Image: "ami-33333333"}, {Name: "student", Count: 3}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	today.Provider, got = greenroom.ProviderLocal, was
	if takeMachines(&got, today); cmp.Diff(was, got) != "" {
		t.Error("a blueprint of another provider was taken over")
	}
}
