package route53dns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"greenroom"
	"greenroom/internal/dns"
)

// textTries is how often a set of texts is read again because another client changed it in between.
const textTries = 5

// AddText adds a text and, beside it, our mark of it; see dns.Texts. Route 53 keeps all texts of a name as one set, so those of
// other ACME clients are written again as they are. It returns when every server knows.
func (z *Zone) AddText(ctx context.Context, n, text string, ttl time.Duration) error {
	if !dns.Below(z.o.Zone, n) {
		return fmt.Errorf("not a name below %s: %w", z.o.Zone, greenroom.ErrPermanent)
	}
	err := z.changeTexts(ctx, n, int64(max(ttl, time.Minute).Seconds()), func(values []string) []string {
		for _, v := range []string{quoted(z.textMark(text)), quoted(text)} {
			if !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		return values
	})
	if err != nil {
		return err
	}
	return dns.Await(ctx, z.Settle)
}

// RemoveText removes a text and its mark, if it has ours; see dns.Texts.
func (z *Zone) RemoveText(ctx context.Context, n, text string) error {
	return z.changeTexts(ctx, n, 0, func(values []string) []string {
		if !slices.Contains(values, quoted(z.textMark(text))) {
			return values
		}
		return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == quoted(text) || v == quoted(z.textMark(text)) })
	})
}

func (z *Zone) textMark(text string) string { return z.mark + ",text=" + text }

func (z *Zone) changeTexts(ctx context.Context, n string, ttl int64, alter func([]string) []string) error {
	z.changing.Lock()
	defer z.changing.Unlock()
	var err error
	for range textTries {
		var values []string
		var changes []types.Change
		old, err := z.textSet(ctx, n)
		if err != nil {
			return err
		}
		if old != nil {
			for _, r := range old.ResourceRecords {
				values = append(values, aws.ToString(r.Value))
			}
			ttl = aws.ToInt64(old.TTL)
			changes = append(changes, remove(*old))
		}
		wanted := alter(slices.Clone(values))
		if slices.Equal(wanted, values) {
			return nil
		}
		if len(wanted) > 0 {
			changes = append(changes, create(set(n, types.RRTypeTxt, ttl, wanted...)))
		}
		if err = z.send(ctx, changes); !isBatch(err) {
			return err
		}
	}
	return err
}

// textSet is the name's set of texts, or nil.
func (z *Zone) textSet(ctx context.Context, n string) (*types.ResourceRecordSet, error) {
	id, err := z.ID(ctx)
	if err != nil {
		return nil, err
	}
	out, err := call(ctx, z, func() (*route53.ListResourceRecordSetsOutput, error) {
		return z.api.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
			HostedZoneId: aws.String(id), StartRecordName: aws.String(n + "."), StartRecordType: types.RRTypeTxt, MaxItems: aws.Int32(1),
		})
	})
	if err != nil {
		return nil, err
	}
	for _, s := range out.ResourceRecordSets {
		if strings.EqualFold(aws.ToString(s.Name), n+".") && s.Type == types.RRTypeTxt {
			return &s, nil
		}
	}
	return nil, nil
}
