package cloudflaredns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/cloudflare"
	"greenroom/internal/dns"
)

// Info is what Cloudflare says of the zone.
type Info struct {
	ID, Name, Plan, Status string
	NameServers            []string
}

func info(z cloudflare.Zone) Info {
	return Info{ID: z.ID, Name: z.Name, Plan: z.Plan.LegacyID, Status: z.Status, NameServers: z.NameServers}
}

// unserved is the error of a zone that is there and that Cloudflare does not serve to the world. It has no kind: the zone is
// looked for again until somebody has changed that.
type unserved struct {
	Info
	advice string
}

func (e *unserved) Error() string {
	return fmt.Sprintf("The zone %s at Cloudflare (%s) is %s, not active: %s.", e.Name, e.ID, e.Status, e.advice)
}

// infoFor is how long what Cloudflare says of the zone is believed: a zone may move away, and a plan may change.
const infoFor = time.Hour

// Info is what Cloudflare says of the zone, of an hour ago at most.
func (z *Zone) Info(ctx context.Context) (Info, error) {
	z.mu.Lock()
	found, age := z.info, time.Since(z.found)
	z.mu.Unlock()
	if found != nil && age < infoFor {
		return *found, nil
	}
	info, err := z.find(ctx)
	if err != nil {
		return Info{}, err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.info, z.found = &info, time.Now()
	return info, nil
}

func (z *Zone) find(ctx context.Context) (Info, error) {
	if z.o.ZoneID != "" {
		return z.byID(ctx)
	}
	var idle []cloudflare.Zone
	for name := z.o.Zone; strings.Contains(name, "."); _, name, _ = strings.Cut(name, ".") {
		found, err := z.api.Zones(ctx, name)
		if err != nil {
			return Info{}, fmt.Errorf("look for zone %s: %w", name, z.classify(err))
		}
		active := slices.DeleteFunc(slices.Clone(found), func(one cloudflare.Zone) bool { return one.Status != cloudflare.Active })
		switch {
		case len(active) == 1:
			return info(active[0]), nil
		case len(active) > 1:
			return Info{}, &greenroom.UserError{
				Message: fmt.Sprintf("This token sees %d active zones %s at Cloudflare: set dns.zone_id to the id of the one that the world is served from: %s.", len(active), name, listed(active)),
				Cause:   greenroom.ErrPermanent,
			}
		}
		idle = append(idle, found...)
	}
	if len(idle) > 0 {
		return Info{}, notServed(idle[0], "let its registrar name the servers "+strings.Join(idle[0].NameServers, " and ")+", or, if they are asked directly (dns.servers), set dns.zone_id")
	}
	return Info{}, &greenroom.UserError{
		Message: fmt.Sprintf("This token sees no zone at Cloudflare that %s is within: give it the right Zone Read for that zone, or set dns.zone_id.", z.o.Zone), Cause: greenroom.ErrForbidden,
	}
}

// byID looks at the zone that the configuration names. One that waits for its delegation is taken: Cloudflare's servers answer
// for it to whoever asks them. One that has moved away is not, since what is written there nobody would see.
func (z *Zone) byID(ctx context.Context) (Info, error) {
	got, err := z.api.Zone(ctx, z.o.ZoneID)
	if err != nil {
		return Info{}, fmt.Errorf("look for zone %s: %w", z.o.ZoneID, z.classify(err))
	}
	if !dns.Below(got.Name, z.o.Zone) {
		return Info{}, &greenroom.UserError{Message: fmt.Sprintf("The zone %s at Cloudflare (dns.zone_id) is %s, and %s is not within it.", z.o.ZoneID, got.Name, z.o.Zone), Cause: greenroom.ErrPermanent}
	}
	if got.Status != cloudflare.Active && got.Status != cloudflare.Pending {
		return Info{}, notServed(got, "let its registrar name the servers "+strings.Join(got.NameServers, " and ")+", or set dns.zone_id to the zone that is served")
	}
	return info(got), nil
}

func notServed(z cloudflare.Zone, advice string) error {
	e := &unserved{Info: info(z), advice: advice}
	return &greenroom.UserError{Message: e.Error(), Cause: e}
}

// listed names zones by their ids and accounts; a handful is enough to choose from.
func listed(zones []cloudflare.Zone) string {
	const most = 5
	var parts []string
	for _, one := range zones[:min(len(zones), most)] {
		parts = append(parts, fmt.Sprintf("%s (account %.60q)", one.ID, one.Account.Name))
	}
	return strings.Join(parts, ", ")
}
