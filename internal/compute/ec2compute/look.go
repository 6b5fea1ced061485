package ec2compute

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"greenroom"
	"greenroom/internal/compute"
)

// Tags that machines and their disks are born with.
const (
	tagOwner   = "greenroom:owner"
	tagMeeting = "greenroom:meeting"
	tagSeats   = "greenroom:seats" // role.attempt of each machine of the call, by launch index
	tagToken   = "greenroom:token"
	tagKillAt  = "greenroom:kill-at"
	tagAddress = "greenroom:address" // "public" or "private": which one the desktop is reached at
)

func (p *Provider) tags(c *call) []types.Tag {
	var seats []string
	for _, h := range c.handles {
		seats = append(seats, strings.TrimPrefix(h.Token(), h.Meeting+"."))
	}
	meeting, address := c.Handle.Meeting, "private"
	if public(c.Blueprint.EC2) {
		address = "public"
	}
	var out []types.Tag
	for _, t := range [][2]string{{"Name", "greenroom " + meeting}, {tagOwner, p.o.Owner}, {tagMeeting, meeting}, {tagSeats, strings.Join(seats, " ")},
		{tagToken, c.token}, {tagKillAt, c.KillAt.UTC().Format(time.RFC3339)}, {tagAddress, address}} {
		out = append(out, types.Tag{Key: aws.String(t[0]), Value: aws.String(t[1])})
	}
	return out
}

// List implements compute.Provider. All who ask at about the same time share the calls. Machines that are gone are listed for
// their meeting, as long as EC2 remembers them, and not among all.
func (p *Provider) List(ctx context.Context, meeting string) ([]compute.Instance, error) {
	all, err := p.looks.do(ctx, meeting)
	if err != nil {
		return nil, fmt.Errorf("describe instances: %w", err)
	}
	var out []compute.Instance
	for _, m := range all {
		switch {
		case meeting != "" && m.Handle.Meeting == meeting, meeting == "" && m.State != compute.Terminated:
			out = append(out, m)
		}
	}
	return out, nil
}

// look lists the machines of the meetings, or all if one of those is "" or they are too many for one question.
func (p *Provider) look(ctx context.Context, meetings []string) ([]compute.Instance, error) {
	slices.Sort(meetings)
	meetings = slices.Compact(meetings)
	var filters []types.Filter
	if meetings[0] != "" && len(meetings) <= filterValues {
		filters = append(filters, filter("tag:"+tagMeeting, meetings...))
	}
	found, err := p.describe(ctx, filters...)
	if err != nil {
		return nil, err
	}
	return p.withYoung(found), nil
}

// withYoung adds the machines that this process launched and that EC2 does not show yet.
func (p *Provider) withYoung(found []compute.Instance) []compute.Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range found {
		delete(p.young, m.ID)
	}
	for id, m := range p.young {
		if time.Since(m.LaunchedAt) > youngFor {
			delete(p.young, id)
			continue
		}
		found = append(found, m)
	}
	return found
}

// describe lists our machines to which the filters apply.
func (p *Provider) describe(ctx context.Context, filters ...types.Filter) ([]compute.Instance, error) {
	in := &ec2.DescribeInstancesInput{MaxResults: aws.Int32(pageSize), Filters: append(filters, filter("tag:"+tagOwner, p.o.Owner))}
	var out []compute.Instance
	for range maxPages {
		var page *ec2.DescribeInstancesOutput
		err := p.describes.call(ctx, 1, func(ctx context.Context) (err error) {
			page, err = p.api.DescribeInstances(ctx, in)
			return err
		})
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		for _, r := range page.Reservations {
			for i := range r.Instances {
				if tag(&r.Instances[i], tagOwner) == p.o.Owner {
					m := p.seen(&r.Instances[i])
					p.ours[m.ID] = time.Now()
					p.mourn(&r.Instances[i], m.End)
					p.account = cmp.Or(aws.ToString(r.OwnerId), p.account)
					out = append(out, m)
				}
			}
		}
		p.forget()
		p.mu.Unlock()
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			return out, nil
		}
	}
	return nil, fmt.Errorf("more than %d pages of machines carry the owner mark", maxPages)
}

// forget drops ids that were not seen for long, when there are many.
func (p *Provider) forget() {
	if len(p.mourned) > pageSize {
		maps.DeleteFunc(p.mourned, func(_ string, at time.Time) bool { return time.Since(at) > 2*time.Hour }) // EC2 shows them for an hour
	}
	if len(p.ours) < 20*pageSize {
		return
	}
	for id, at := range p.ours {
		if time.Since(at) > time.Hour {
			delete(p.ours, id)
		}
	}
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

func tag(i *types.Instance, key string) string {
	for _, t := range i.Tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

// seen is EC2's machine in our words. Whose it is follows from its place in the call that launched it.
func (p *Provider) seen(i *types.Instance) compute.Instance {
	m := compute.Instance{ID: aws.ToString(i.InstanceId), State: state(i), LaunchedAt: aws.ToTime(i.LaunchTime).UTC(), End: endOf(i)}
	handles := greenroom.Launch{Seats: strings.Fields(tag(i, tagSeats))}.Handles(tag(i, tagMeeting))
	if n := int(aws.ToInt32(i.AmiLaunchIndex)); n < len(handles) {
		m.Handle = handles[n]
	}
	switch {
	case m.State != compute.Running:
	case tag(i, tagAddress) == "public":
		m.Address = aws.ToString(i.PublicIpAddress)
	default:
		m.Address = aws.ToString(i.PrivateIpAddress)
	}
	return m
}

// state counts a machine that somebody stopped as one that is being removed: nobody can use it.
func state(i *types.Instance) compute.State {
	if i.State == nil {
		return compute.Pending
	}
	switch i.State.Name {
	case types.InstanceStateNameRunning:
		return compute.Running
	case types.InstanceStateNameTerminated:
		return compute.Terminated
	case types.InstanceStateNamePending:
		return compute.Pending
	default:
		return compute.ShuttingDown
	}
}
