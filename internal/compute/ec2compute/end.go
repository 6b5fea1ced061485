package ec2compute

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Terminate implements compute.Provider. All who ask at about the same time share the calls. Ids that were never seen with
// our owner's tag are left alone.
func (p *Provider) Terminate(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := p.ends.do(ctx, ids); err != nil {
		return fmt.Errorf("terminate instances: %w", err)
	}
	return nil
}

func (p *Provider) end(ctx context.Context, asked [][]string) (struct{}, error) {
	ids := slices.Concat(asked...)
	slices.Sort(ids)
	ids, err := p.owned(ctx, slices.Compact(ids))
	for batch := range slices.Chunk(ids, terminateMax) {
		if err == nil {
			err = p.terminate(ctx, slices.Clone(batch))
		}
	}
	return struct{}{}, err
}

// owned drops the ids that are not ours, after one look at those that are not known.
func (p *Provider) owned(ctx context.Context, ids []string) ([]string, error) {
	var unknown []string
	for _, id := range ids {
		if !p.isOurs(id) {
			unknown = append(unknown, id)
		}
	}
	for some := range slices.Chunk(unknown, filterValues) {
		if _, err := p.describe(ctx, filter("instance-id", some...)); err != nil { // it remembers what is ours
			return nil, err
		}
	}
	return slices.DeleteFunc(ids, func(id string) bool { return !p.isOurs(id) }), nil
}

func (p *Provider) isOurs(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.ours[id]
	return ok
}

var idPattern = regexp.MustCompile(`\bi-[0-9a-f]{8,17}\b`)

// terminate asks for one batch. An id that EC2 has forgotten fails the whole call, which says so: it is left out then.
func (p *Provider) terminate(ctx context.Context, ids []string) error {
	for len(ids) > 0 {
		err := p.removals.call(ctx, len(ids), func(ctx context.Context) error {
			_, err := p.api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
			return err
		})
		if code(err) != "InvalidInstanceID.NotFound" {
			if err == nil {
				p.ended(ids)
			}
			return err
		}
		forgotten := idPattern.FindAllString(err.Error(), -1)
		rest := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(forgotten, id) })
		if len(rest) == len(ids) {
			return err // it does not say which
		}
		p.ended(forgotten)
		ids = rest
	}
	return nil
}

func (p *Provider) ended(ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.full) // they may leave room
	for _, id := range ids {
		delete(p.young, id)
	}
}
