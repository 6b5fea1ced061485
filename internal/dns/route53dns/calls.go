package route53dns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"

	"greenroom"
	"greenroom/internal/dns"
)

var errNotOurs = fmt.Errorf("a record that is not ours has this name: %w", greenroom.ErrConflict)

// call waits for the turn of one call, makes it, and gives its error a kind.
func call[T any](ctx context.Context, z *Zone, do func() (T, error)) (T, error) {
	var none T
	if err := z.pacer.Wait(ctx); err != nil {
		return none, err
	}
	out, err := do()
	if err != nil {
		return none, z.classify(err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.refused = 0
	return out, nil
}

func (z *Zone) classify(err error) error {
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		if strings.Contains(err.Error(), "get credentials") || strings.Contains(err.Error(), "get identity") {
			return &greenroom.UserError{Message: "There are no AWS credentials for Route 53: give this machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.", Cause: fmt.Errorf("%w: %w", greenroom.ErrForbidden, err)}
		}
		return err
	}
	said := fmt.Errorf("Route 53 answers %s: %s", e.ErrorCode(), e.ErrorMessage()) //nolint:staticcheck // a name
	switch code := e.ErrorCode(); {
	case code == "Throttling", code == "ThrottlingException", code == "PriorRequestNotComplete", code == "RequestLimitExceeded", code == "TooManyRequestsException":
		return &dns.ThrottledError{Until: z.backOff(), Err: said}
	case code == "InvalidChangeBatch" && notWithin(e.ErrorMessage()):
		return &greenroom.UserError{Message: fmt.Sprintf("%s is not within the hosted zone%s: correct zone or dns.zone_id.", z.o.Zone, idOf(z.o.ZoneID)), Cause: fmt.Errorf("%w: %w", greenroom.ErrForbidden, said)}
	case code == "InvalidChangeBatch":
		return &batchError{said}
	case code == "NoSuchHostedZone":
		return &greenroom.UserError{Message: fmt.Sprintf("Route 53 knows no hosted zone %s (dns.zone_id) of this account.", z.o.ZoneID), Cause: fmt.Errorf("%w: %w", greenroom.ErrForbidden, said)}
	case status(err) == http.StatusForbidden || status(err) == http.StatusUnauthorized:
		return &greenroom.UserError{
			Message: fmt.Sprintf("AWS refuses %s to these credentials: they need route53:ChangeResourceRecordSets, ListResourceRecordSets and GetHostedZone on the zone, GetChange, and, without dns.zone_id, ListHostedZonesByName.", action(err)),
			Cause:   fmt.Errorf("%w: %w", greenroom.ErrForbidden, said),
		}
	case status(err) >= 400 && status(err) < 500:
		return fmt.Errorf("%w: %w", greenroom.ErrPermanent, said)
	}
	return said
}

// notWithin reports whether a refusal of a batch says that a name is of another zone than the one that was asked: no record is in the way.
func notWithin(message string) bool {
	return strings.Contains(strings.ToLower(message), "is not permitted in zone")
}

func idOf(id string) string {
	if id == "" {
		return ""
	}
	return " " + id + " (dns.zone_id)"
}

// action is the right that a call needs.
func action(err error) string {
	if e, ok := errors.AsType[*smithy.OperationError](err); ok {
		return "route53:" + e.OperationName
	}
	return "Route 53"
}

func status(err error) int {
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return r.HTTPStatusCode()
	}
	return 0
}

// batchError is the refusal of a batch of which one change does not fit what is there.
type batchError struct{ error }

func (e *batchError) Is(target error) bool { return target == greenroom.ErrConflict }

func isBatch(err error) bool {
	_, ok := errors.AsType[*batchError](err)
	return ok
}

// backOff asks for silence, each time for twice as long.
func (z *Zone) backOff() time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	until := time.Now().Add(silence.After(z.refused))
	z.refused++
	z.pacer.Silence(until)
	return until
}

// ID finds the hosted zone once, and remembers it.
func (z *Zone) ID(ctx context.Context) (string, error) {
	z.mu.Lock()
	id := z.id
	z.mu.Unlock()
	if id != "" {
		return id, nil
	}
	for n := z.o.Zone; strings.Contains(n, "."); _, n, _ = strings.Cut(n, ".") {
		out, err := call(ctx, z, func() (*route53.ListHostedZonesByNameOutput, error) {
			return z.api.ListHostedZonesByName(ctx, &route53.ListHostedZonesByNameInput{DNSName: aws.String(n), MaxItems: aws.Int32(100)})
		})
		if err != nil {
			return "", fmt.Errorf("look for hosted zone %s: %w", n, err)
		}
		id, err := one(n, out.HostedZones)
		if err != nil {
			return "", err
		}
		if id != "" {
			z.mu.Lock()
			defer z.mu.Unlock()
			z.id = id
			return id, nil
		}
	}
	return "", &greenroom.UserError{Message: fmt.Sprintf("This AWS account has no public hosted zone that %s is within: make one, or set dns.zone_id.", z.o.Zone), Cause: greenroom.ErrForbidden}
}

// one is the id of the public zone of exactly that name, empty if there is none. Route 53 lists zones from a name on, so that others
// follow it. Several public zones of one name may exist, of which a resolver knows one: greenroom does not guess.
func one(name string, zones []types.HostedZone) (string, error) {
	var ids []string
	for _, found := range zones {
		if strings.EqualFold(aws.ToString(found.Name), name+".") && (found.Config == nil || !found.Config.PrivateZone) {
			ids = append(ids, strings.TrimPrefix(aws.ToString(found.Id), "/hostedzone/"))
		}
	}
	if len(ids) > 1 {
		return "", &greenroom.UserError{
			Message: fmt.Sprintf("This AWS account has several public hosted zones named %s (%s): set dns.zone_id to the one that the domain is delegated to.", name, strings.Join(ids, ", ")),
			Cause:   greenroom.ErrForbidden,
		}
	}
	return strings.Join(ids, ""), nil
}

// send makes one batch.
func (z *Zone) send(ctx context.Context, changes []types.Change) error {
	id, err := z.ID(ctx)
	if err != nil {
		return err
	}
	out, err := call(ctx, z, func() (*route53.ChangeResourceRecordSetsOutput, error) {
		return z.api.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: aws.String(id), ChangeBatch: &types.ChangeBatch{Changes: changes}})
	})
	if err != nil {
		return fmt.Errorf("change records: %w", err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.insync == z.newest {
		z.unsettled = time.Now()
		z.lookAt = z.unsettled.Add(z.o.FirstPoll)
	}
	z.newest = aws.ToString(out.ChangeInfo.Id)
	if out.ChangeInfo.Status == types.ChangeStatusInsync {
		z.insync = z.newest
	}
	return nil
}

// list reads what the zone holds below our name; z.changing is held.
func (z *Zone) list(ctx context.Context) error {
	id, err := z.ID(ctx)
	if err != nil {
		return err
	}
	found := map[string][]types.ResourceRecordSet{}
	in := &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(id), MaxItems: aws.Int32(perPage)}
	for range maxPages {
		out, err := call(ctx, z, func() (*route53.ListResourceRecordSetsOutput, error) { return z.api.ListResourceRecordSets(ctx, in) })
		if err != nil {
			return fmt.Errorf("list records: %w", err)
		}
		for _, s := range out.ResourceRecordSets {
			n := plainName(aws.ToString(s.Name))
			if strings.HasSuffix(n, "."+z.o.Zone) {
				found[n] = append(found[n], s)
			}
		}
		if !out.IsTruncated {
			break
		}
		in.StartRecordName, in.StartRecordType, in.StartRecordIdentifier = out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier
	}
	z.names = make(map[string]name, len(found))
	for n, sets := range found {
		z.names[n] = z.judge(sets)
	}
	return nil
}

// plainName is a name as we write it. Route 53 answers an asterisk as its octal code, and in DELETE takes both.
func plainName(n string) string {
	return strings.Replace(strings.TrimSuffix(strings.ToLower(n), "."), `\052.`, "*.", 1)
}

// judge tells whether a name is ours: an address and our mark and nothing else.
func (z *Zone) judge(sets []types.ResourceRecordSet) name {
	var n name
	marked, addressed := false, false
	for _, s := range sets {
		value := ""
		if len(s.ResourceRecords) == 1 && s.SetIdentifier == nil && s.AliasTarget == nil {
			value = aws.ToString(s.ResourceRecords[0].Value)
		}
		address, err := netip.ParseAddr(value)
		switch {
		case s.Type == types.RRTypeTxt && unquoted(value) == z.mark:
			marked, n.markTTL = true, aws.ToInt64(s.TTL)
		case s.Type == types.RRTypeA && err == nil:
			addressed, n.address, n.ttl = true, address, aws.ToInt64(s.TTL)
		default:
			return name{}
		}
	}
	n.ours = marked && addressed
	return n
}

// Polling of a change: at first soon, then seldom, since each look counts against the account's rate.
const (
	firstPoll = 2 * time.Second // unless Options say something else
	lastPoll  = 10 * time.Second
)

// Settle reports whether every server of Route 53 knows what was accepted before; see dns.Provider. Normally they do within a minute.
// However many ask, one call answers all of them, and only the newest change is asked for.
func (z *Zone) Settle(ctx context.Context) error {
	z.mu.Lock()
	wanted := z.newest
	z.mu.Unlock()
	select {
	case z.polling <- struct{}{}:
		defer func() { <-z.polling }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	z.mu.Lock()
	newest, insync, next := z.newest, z.insync, z.lookAt
	z.mu.Unlock()
	switch {
	case insync == newest || insync == wanted:
		return nil
	case time.Now().Before(next):
		return &dns.PendingError{Until: next}
	}
	out, err := call(ctx, z, func() (*route53.GetChangeOutput, error) {
		return z.api.GetChange(ctx, &route53.GetChangeInput{Id: aws.String(newest)})
	})
	if err != nil && !errors.Is(err, greenroom.ErrThrottled) {
		return fmt.Errorf("ask how far the change is: %w", err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if err == nil && out.ChangeInfo.Status == types.ChangeStatusInsync {
		z.insync = newest
		return nil
	}
	now := time.Now()
	z.lookAt = now.Add(max(z.o.FirstPoll, min(now.Sub(z.unsettled), lastPoll)))
	return &dns.PendingError{Until: z.lookAt}
}
