package ec2compute

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"greenroom"
)

// Terminate implements compute.Provider. All who ask at about the same time share the calls, and each is told of its own. Ids that were never seen with
// our owner's tag are left alone.
func (p *Provider) Terminate(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	failed, err := p.ends.do(ctx, ids)
	errs := []error{err}
	for _, id := range ids {
		errs = append(errs, failed[id])
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("terminate instances: %w", err)
	}
	return nil
}

func (p *Provider) end(ctx context.Context, asked [][]string) (map[string]error, error) {
	ids := slices.Concat(asked...)
	slices.Sort(ids)
	ids, err := p.owned(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	failed := map[string]error{}
	for batch := range slices.Chunk(ids, terminateMax) {
		p.terminate(ctx, slices.Clone(batch), failed)
	}
	return failed, nil
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

// terminate asks for one batch, and notes whose removal failed. One id can fail the call for others: one that EC2 has forgotten fails all,
// one that is protected against termination those of its zone, and the answer names one of them at best. What is named is done without,
// else each half is asked for by itself.
func (p *Provider) terminate(ctx context.Context, ids []string, failed map[string]error) {
	for len(ids) > 0 {
		err := p.removals.call(ctx, len(ids), func(ctx context.Context) error {
			_, err := p.api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
			return err
		})
		if err == nil {
			p.ended(ids)
			return
		}
		named, rest := apart(ids, err)
		switch code(err) {
		case "InvalidInstanceID.NotFound":
			p.ended(named)
		case "OperationNotPermitted":
			for _, id := range named {
				failed[id] = protected(id, err)
			}
		default:
			named = nil
		}
		if len(named) > 0 {
			ids = rest
			continue
		}
		if len(ids) == 1 || code(err) != "OperationNotPermitted" && code(err) != "InvalidInstanceID.NotFound" {
			for _, id := range ids {
				failed[id] = err
			}
			return
		}
		p.terminate(ctx, ids[:len(ids)/2], failed)
		ids = ids[len(ids)/2:]
	}
}

// apart parts the ids that an error names from the others.
func apart(ids []string, err error) (named, rest []string) {
	said := idPattern.FindAllString(err.Error(), -1)
	for _, id := range ids {
		if slices.Contains(said, id) {
			named = append(named, id)
		} else {
			rest = append(rest, id)
		}
	}
	return named, rest
}

func protected(id string, err error) error {
	return &greenroom.UserError{Cause: err, Message: "The machine " + id + " is protected against termination at Amazon, which greenroom did not ask for: " +
		"aws ec2 modify-instance-attribute --no-disable-api-termination --instance-id " + id + " removes that, and greenroom then removes the machine."}
}

func (p *Provider) ended(ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.full) // they may leave room
	for _, id := range ids {
		delete(p.young, id)
	}
}
