package ec2compute

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"greenroom"
	"greenroom/internal/compute"
)

// Launch implements compute.Provider: one call for those who share a launch.
func (p *Provider) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	out := make([]compute.Outcome, len(requests))
	done := make(chan struct{})
	calls := p.calls(requests)
	for _, c := range calls {
		go func() {
			machines, err := p.run(ctx, c)
			for _, i := range c.requests {
				out[i] = c.outcome(requests[i].Handle, machines, err)
			}
			done <- struct{}{}
		}()
	}
	for range calls {
		<-done
	}
	return out
}

// call is one call to RunInstances. Everything in it follows from what was saved before, so that whoever repeats it says
// the same.
type call struct {
	compute.Request
	handles  []greenroom.Handle // of its machines, by launch index
	place    string
	token    string
	requests []int // that it answers
}

// calls groups the requests.
func (p *Provider) calls(requests []compute.Request) []*call {
	var calls []*call
	for i, r := range requests {
		c := &call{Request: r, handles: r.Launch.Handles(r.Handle.Meeting), place: r.Launch.Place}
		if len(c.handles) == 0 {
			c.handles, c.place = []greenroom.Handle{r.Handle}, p.Places(r.Blueprint)[0]
		}
		c.token = token(c.handles, c.place)
		if at := slices.IndexFunc(calls, func(o *call) bool { return o.token == c.token }); at >= 0 {
			c = calls[at]
		} else {
			calls = append(calls, c)
		}
		c.requests = append(c.requests, i)
	}
	return calls
}

// token is the idempotency token of the machines in that place: EC2 knows a token in one zone only, and wants every
// parameter to be the same.
func token(handles []greenroom.Handle, place string) string {
	h := sha256.New()
	for _, handle := range handles {
		fmt.Fprintln(h, handle.Token())
	}
	fmt.Fprintln(h, place)
	return "greenroom-" + hex.EncodeToString(h.Sum(nil))[:40]
}

// outcome finds the request's machine among the call's.
func (c *call) outcome(h greenroom.Handle, machines []compute.Instance, err error) compute.Outcome {
	if err != nil {
		return compute.Outcome{Err: fmt.Errorf("launch in %s: %w", c.place, err)}
	}
	if i := slices.IndexFunc(machines, func(m compute.Instance) bool { return m.Handle == h }); i >= 0 {
		return compute.Outcome{Instance: machines[i]}
	}
	return compute.Outcome{Err: fmt.Errorf("launch in %s: the answer with %d machines holds none for %s", c.place, len(machines), h.Token())}
}

// run waits for the call's turn and makes it.
func (p *Provider) run(ctx context.Context, c *call) ([]compute.Instance, error) {
	input, err := p.input(ctx, c)
	if err != nil {
		return nil, err
	}
	last := time.Now().Add(callTimeout)
	if deadline, ok := ctx.Deadline(); ok {
		last = deadline.Add(-callReserve)
	}
	mine := turn{key: c.token, startsAt: c.StartsAt, asked: time.Now(), count: len(c.handles)}
	for {
		if err := p.launches.wait(ctx, mine, last); err != nil {
			return nil, err
		}
		asked, cancel := bounded(ctx)
		answer, err := p.api.RunInstances(asked, input)
		cancel()
		err = classify(err)
		p.launches.answered(errors.Is(err, greenroom.ErrThrottled))
		switch {
		case err == nil:
			return p.born(answer), nil
		case errors.Is(err, greenroom.ErrThrottled): // nothing was launched: once more, when it has been quiet for a while
		case code(err) == "IdempotentParameterMismatch":
			return p.already(ctx, c)
		default:
			p.refused(c, err)
			return nil, err
		}
	}
}

// born remembers new machines: looks may miss them for a while.
func (p *Provider) born(answer *ec2.RunInstancesOutput) []compute.Instance {
	var out []compute.Instance
	p.mu.Lock()
	defer p.mu.Unlock()
	p.account = cmp.Or(aws.ToString(answer.OwnerId), p.account)
	for i := range answer.Instances {
		m := p.seen(&answer.Instances[i])
		out = append(out, m)
		if m.State == compute.Pending || m.State == compute.Running {
			p.young[m.ID] = m
		}
		p.ours[m.ID] = time.Now()
	}
	return out
}

// already finds the machines of a call that was made before in other words, by another version of this program or with
// another configuration.
func (p *Provider) already(ctx context.Context, c *call) ([]compute.Instance, error) {
	found, err := p.describe(ctx, filter("client-token", c.token))
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(p.withYoung(found), func(m compute.Instance) bool { return !slices.Contains(c.handles, m.Handle) })
	if len(found) == 0 {
		return nil, errors.New("these machines were asked for before in other words, and are not listed yet")
	}
	return found, nil
}

// input is what EC2 is asked. It depends on nothing but the call.
func (p *Provider) input(ctx context.Context, c *call) (*ec2.RunInstancesInput, error) {
	if len(c.UserData) > maxUserData {
		return nil, &greenroom.UserError{Message: fmt.Sprintf("The desktop's user data is %d bytes long, and EC2 takes %d: shorten the blueprint's list of applications.", len(c.UserData), maxUserData),
			Cause: greenroom.ErrPermanent}
	}
	b, n := c.Blueprint.EC2, aws.Int32(int32(len(c.handles))) //nolint:gosec // the seats of a meeting are few
	kind, subnet, _ := strings.Cut(c.place, "/")
	in := &ec2.RunInstancesInput{
		MinCount: n, MaxCount: n, ClientToken: aws.String(c.token), UserData: aws.String(base64.StdEncoding.EncodeToString(c.UserData)),
		ImageId: text(b.Image), KeyName: text(b.KeyName), InstanceType: types.InstanceType(kind), LaunchTemplate: template(b.LaunchTemplate),
		InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
		MetadataOptions: &types.InstanceMetadataOptionsRequest{HttpEndpoint: types.InstanceMetadataEndpointStateEnabled, HttpTokens: types.HttpTokensStateRequired,
			HttpPutResponseHopLimit: aws.Int32(1), InstanceMetadataTags: types.InstanceMetadataTagsStateEnabled},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: p.tags(c)}, {ResourceType: types.ResourceTypeVolume, Tags: p.tags(c)}},
	}
	if b.InstanceProfile != "" {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String(b.InstanceProfile)}
	}
	if subnet != "" {
		in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: aws.String(subnet), Groups: b.SecurityGroups,
			AssociatePublicIpAddress: aws.Bool(public(b)), DeleteOnTermination: aws.Bool(true)}}
	} else {
		in.SecurityGroupIds = b.SecurityGroups
	}
	if !b.Spot { // spot machines know no such protection; others may have it from the launch template
		in.DisableApiTermination = aws.Bool(false)
	}
	if b.Spot {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot,
			SpotOptions: &types.SpotMarketOptions{SpotInstanceType: types.SpotInstanceTypeOneTime, InstanceInterruptionBehavior: types.InstanceInterruptionBehaviorTerminate}}
	}
	if b.Image == "" {
		return in, nil // the disk is the launch template's
	}
	device, err := p.device(ctx, b.Image)
	if err != nil {
		return nil, err
	}
	disk := &types.EbsBlockDevice{VolumeType: types.VolumeTypeGp3, DeleteOnTermination: aws.Bool(true)}
	if b.DiskGiB > 0 {
		disk.VolumeSize = aws.Int32(int32(b.DiskGiB)) //nolint:gosec // validated
	}
	in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String(device), Ebs: disk}}
	return in, nil
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}

// template reads "lt-0123456789abcdef0:7" or "name:7"; without a version it is the template's default one.
func template(s string) *types.LaunchTemplateSpecification {
	if s == "" {
		return nil
	}
	name, version, _ := strings.Cut(s, ":")
	t := &types.LaunchTemplateSpecification{Version: aws.String(cmp.Or(version, "$Default"))}
	if strings.HasPrefix(name, "lt-") {
		t.LaunchTemplateId = aws.String(name)
	} else {
		t.LaunchTemplateName = aws.String(name)
	}
	return t
}

// places are the blueprint's types in its subnets: a preferred type in any zone comes before the next type.
func places(b greenroom.EC2) []string {
	var out []string
	for _, kind := range orNone(b.InstanceTypes) {
		for _, subnet := range orNone(b.Subnets) {
			out = append(out, kind+"/"+subnet)
		}
	}
	return out
}

func orNone(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}

func public(b greenroom.EC2) bool { return b.PublicAddress != "false" }
