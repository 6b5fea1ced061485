package ec2compute

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"greenroom"
	"greenroom/internal/compute"
)

// Rehearsal is a call that EC2 judged and did not carry out.
type Rehearsal struct {
	Call string
	Err  error // nil if it would have worked
}

// nobody is a machine that does not exist.
const nobody = "i-00000000000000000"

// Rehearse asks EC2 whether it would do for the blueprint what greenroom does: start machines in each of its places, with
// their tags, look at them and remove them. It changes nothing.
func (p *Provider) Rehearse(ctx context.Context, b greenroom.Blueprint) []Rehearsal {
	var out []Rehearsal
	for _, place := range places(b.EC2) {
		out = append(out, Rehearsal{"RunInstances in " + place, p.rehearseLaunch(ctx, b, place)})
	}
	calls := []struct {
		name string
		do   func(context.Context) error
	}{
		{"DescribeInstances", func(ctx context.Context) error {
			_, err := p.api.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: aws.Bool(true), MaxResults: aws.Int32(5), Filters: []types.Filter{filter("tag:"+tagOwner, p.o.Owner)}})
			return err
		}},
		{"TerminateInstances", func(ctx context.Context) error {
			_, err := p.api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{DryRun: aws.Bool(true), InstanceIds: []string{nobody}})
			return err
		}},
	}
	for _, c := range calls {
		out = append(out, Rehearsal{c.name, judged(p.describes.call(ctx, 1, c.do))})
	}
	return out
}

func (p *Provider) rehearseLaunch(ctx context.Context, b greenroom.Blueprint, place string) error {
	h := greenroom.Handle{Meeting: greenroom.NewMeetingID(), Seat: "rehearsal", Attempt: 1}
	c := &call{Request: compute.Request{Handle: h, Blueprint: b, KillAt: time.Now(), UserData: []byte("{}")}, handles: []greenroom.Handle{h}, place: place}
	c.token = token(c.handles, place)
	in, err := p.input(ctx, c)
	if err != nil {
		return err
	}
	in.DryRun = aws.Bool(true)
	return judged(p.describes.call(ctx, 1, func(ctx context.Context) error {
		_, err := p.api.RunInstances(ctx, in)
		return err
	}))
}

// judged reads the answer to a dry run, which is always an error.
func judged(err error) error {
	switch code(err) {
	case "DryRunOperation", "InvalidInstanceID.NotFound": // permission is judged before it is looked whether the machine exists
		return nil
	}
	return err
}
