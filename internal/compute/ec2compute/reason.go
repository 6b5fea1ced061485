package ec2compute

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"greenroom"
)

// ends are rulings on why a machine ended that was not told to: codes of a StateReason. RunInstances has accepted such a machine, and the
// refusal comes with its state.
var ends = []ruling{
	{"Server.InsufficientInstanceCapacity", greenroom.ErrCapacity, avoidFor, "Amazon had no machine of this type in this zone after all; the next place is tried."},
	{"Server.SpotInstanceTermination", greenroom.ErrCapacity, avoidFor, "Amazon took the spot machine back."},
	{"Server.SpotInstanceShutdown", greenroom.ErrCapacity, avoidFor, "Amazon took the spot machine back."},
	{"Client.VolumeLimitExceeded", greenroom.ErrBlocked, 0, "The account's quota of disks is full: ask Amazon for more under Service Quotas, or schedule fewer meetings at once."},
	{"Client.InvalidSnapshot.NotFound", greenroom.ErrPermanent, 0, "The disk's snapshot of the blueprint's image does not exist: correct image."},
	{"Client.InternalError", greenroom.ErrPermanent, 0, "Amazon could not start the machine, most often because its disk is encrypted with a key that this account or the launching role may not use: " +
		"allow kms:CreateGrant, kms:Decrypt and kms:GenerateDataKeyWithoutPlaintext on the key of the image and of the disk."},
	{"Client.InvalidKMSKey.", greenroom.ErrPermanent, 0, "The key that the machine's disk is encrypted with is disabled, is being deleted, or may not be used: enable it, or correct image."},
	{"Server.InternalError", nil, 0, "Amazon ended the machine because of an error of its own."},
	{"Server.ScheduledStop", nil, 0, "Amazon stopped the machine because its host is retired."},
	{"Client.InstanceInitiatedShutdown", nil, 0, "The machine shut itself down from inside."},
	{"Client.UserInitiatedShutdown", nil, 0, "The machine was ended through Amazon's API or console, and not by greenroom."},
	{"Client.UserInitiatedHibernate", nil, 0, "The machine was hibernated through Amazon's API or console, and not by greenroom."},
	{"Client.InstanceTerminated", nil, 0, "The machine was ended while an image was made of it."},
}

// endOf is why a machine that ends or has ended does so: a UserError of the kind that a refused launch has. nil if Amazon does not say.
func endOf(i *types.Instance) error {
	if i.StateReason == nil || aws.ToString(i.StateReason.Code) == "" || i.State == nil {
		return nil
	}
	if i.State.Name == types.InstanceStateNamePending || i.State.Name == types.InstanceStateNameRunning {
		return nil
	}
	code, said := aws.ToString(i.StateReason.Code), fmt.Errorf("%s", clip(aws.ToString(i.StateReason.Message)))
	r, known := match(ends, code)
	if !known {
		r.says = "Amazon ended the machine (" + clip(code) + ")."
	}
	if r.kind != nil {
		said = fmt.Errorf("%w: %w", r.kind, said)
	}
	return &greenroom.UserError{Message: r.says, Cause: fmt.Errorf("%s: %w", clip(code), said)}
}

// clip bounds what Amazon says.
func clip(s string) string { return s[:min(len(s), 300)] }

// mourn avoids the place of a machine that ended for lack of capacity, once for each machine; p.mu is held.
func (p *Provider) mourn(i *types.Instance, end error) {
	id := aws.ToString(i.InstanceId)
	if _, known := p.mourned[id]; known || !errors.Is(end, greenroom.ErrCapacity) {
		return
	}
	p.mourned[id] = time.Now()
	until := time.Now().Add(avoidFor)
	for _, subnet := range []string{aws.ToString(i.SubnetId), ""} { // the blueprint may name no subnet
		p.avoided[string(i.InstanceType)+"/"+subnet] = until
	}
}
