package cloudflaredns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/dns"
)

// mostRecords is how many a zone holds, by plan; zones of the Free plan from before September 2024 hold 1,000.
var mostRecords = map[string]int{"free": 200, "pro": 3500, "business": 3500}

// note keeps what an answer says of the clock and of the rate.
func (z *Zone) note(h http.Header) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		z.said.Clock, z.said.Seen = at, time.Now()
	}
	if left := remaining.FindStringSubmatch(h.Get("Ratelimit")); left != nil {
		z.said.Calls = fmt.Sprintf("%s left for the next %s s, says Cloudflare", left[1], left[2])
	}
}

// remaining is in a header such as: "default";r=1194;t=211
var remaining = regexp.MustCompile(`;r=([0-9]{1,9});t=([0-9]{1,9})`)

// Inspect asks what the token may read of the zone; see dns.Facts. Each error is one thing to fix. Whether it may change
// the zone shows only when it is changed.
func (z *Zone) Inspect(ctx context.Context) (dns.Facts, []error) {
	info, err := z.Info(ctx)
	if e, ok := errors.AsType[*unserved](err); ok {
		facts := z.facts(e.Info)
		facts.Pending = e.Error()
		return facts, nil
	}
	if err != nil {
		return z.facts(Info{Name: z.o.Zone}), []error{z.whyNoZone(ctx, err)}
	}
	facts := z.facts(info)
	if info.Status != "active" {
		facts.Pending = fmt.Sprintf("Cloudflare calls the zone %s: let its registrar name the servers %s", info.Status, strings.Join(info.NameServers, " and "))
	}
	var errs []error
	if _, err := z.GetRecords(ctx); err != nil {
		errs = append(errs, err)
	}
	z.listMu.Lock()
	defer z.listMu.Unlock()
	if z.o.Zone == info.Name { // or only a part was listed
		for _, records := range z.records {
			facts.Records += len(records)
		}
		facts.MostRecords = mostRecords[info.Plan]
	}
	return facts, errs
}

func (z *Zone) facts(info Info) dns.Facts {
	z.mu.Lock()
	defer z.mu.Unlock()
	facts := z.said
	facts.Apex, facts.NameServers, facts.Plan = info.Name, info.NameServers, info.Plan
	if facts.Calls == "" {
		facts.Calls = "1,200 in 5 minutes for everything that the token's user does, of which greenroom uses 1,080"
	}
	return facts
}

// whyNoZone tells a token that Cloudflare does not know from one that may not see the zone. Tokens of an account, which this question does not
// know, are not called wrong for it: the zone was asked for first.
func (z *Zone) whyNoZone(ctx context.Context, err error) error {
	if !errors.Is(err, greenroom.ErrForbidden) {
		return err
	}
	state, failed := z.api.TokenStatus(ctx)
	switch {
	case failed == nil && state == "active":
		return &greenroom.UserError{Message: "Cloudflare accepts the token (dns.token), and it may not see " + z.o.Zone + ": give it the right Zone, Zone, Read for that zone, and Zone, DNS, Edit.", Cause: err}
	case failed == nil:
		return &greenroom.UserError{Message: fmt.Sprintf("The token (dns.token) is %.20s: make a new one.", state), Cause: err}
	case errors.Is(z.classify(failed), greenroom.ErrForbidden):
		return &greenroom.UserError{Message: "Cloudflare does not know the token (dns.token): make one with the rights Zone, Zone, Read and Zone, DNS, Edit for " + z.o.Zone + ", and see that it is whole.", Cause: err}
	}
	return err
}
