package route53dns

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/route53"

	"greenroom"
	"greenroom/internal/dns"
)

// mostRecords is how many a hosted zone holds unless Amazon raises it.
const mostRecords = 10_000

// Inspect asks what the credentials may read of the zone; see dns.Facts. Each error is one thing to fix. Whether they may
// change it shows only when it is changed.
func (z *Zone) Inspect(ctx context.Context) (dns.Facts, []error) {
	facts := dns.Facts{Apex: z.o.Zone, MostRecords: mostRecords, Calls: fmt.Sprintf("5 a second for the whole AWS account, of which greenroom uses %d", requestsPerSecond)}
	id, err := z.ID(ctx)
	if err != nil {
		return facts, []error{err}
	}
	var errs []error
	got, err := call(ctx, z, func() (*route53.GetHostedZoneOutput, error) {
		return z.api.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: aws.String(id)})
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("look at the hosted zone: %w", err))
	} else {
		facts.Apex = strings.TrimSuffix(strings.ToLower(aws.ToString(got.HostedZone.Name)), ".")
		facts.Records = int(aws.ToInt64(got.HostedZone.ResourceRecordSetCount))
		if there, ok := awsmiddleware.GetServerTime(got.ResultMetadata); ok {
			facts.Clock, facts.Seen = there, time.Now()
		}
		if got.DelegationSet != nil {
			facts.NameServers = got.DelegationSet.NameServers
		}
		if !dns.Below(facts.Apex, z.o.Zone) {
			errs = append(errs, &greenroom.UserError{Message: fmt.Sprintf("The hosted zone %s (dns.zone_id) is %s, and %s is not within it.", id, facts.Apex, z.o.Zone), Cause: greenroom.ErrForbidden})
		}
		if got.HostedZone.Config != nil && got.HostedZone.Config.PrivateZone {
			errs = append(errs, &greenroom.UserError{Message: fmt.Sprintf("The hosted zone %s is private: participants cannot see it. Set dns.zone_id to a public one.", id), Cause: greenroom.ErrForbidden})
		}
	}
	if _, err := z.GetRecords(ctx); err != nil {
		errs = append(errs, err)
	}
	return facts, errs
}
