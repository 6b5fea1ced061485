package cloudflareorigin

import (
	"context"
	"strings"

	"greenroom"
	"greenroom/internal/cloudflare"
)

// CheckToken says what is wrong with the token, as far as it can be seen without having anything signed.
func (a *Authority) CheckToken(ctx context.Context) error {
	id := a.o.ZoneID
	if id == "" {
		var zones []cloudflare.Zone
		err := a.call(ctx, "find the zone "+a.o.Apex, func(ctx context.Context) (err error) {
			zones, err = a.api.Zones(ctx, a.o.Apex)
			return err
		})
		if err != nil {
			return err
		}
		if id, err = a.choose(zones); err != nil {
			return err
		}
	}
	return a.call(ctx, "list certificates", func(ctx context.Context) error { return a.api.MayListCertificates(ctx, id) })
}

// choose is the id of the one zone of the name that Cloudflare's edge serves.
func (a *Authority) choose(zones []cloudflare.Zone) (string, error) {
	var active, idle []string
	for _, z := range zones {
		if z.Status == cloudflare.Active {
			active = append(active, z.ID)
			continue
		}
		idle = append(idle, z.Status)
	}
	switch {
	case len(active) == 1:
		return active[0], nil
	case len(active) > 1:
		return "", userError(greenroom.ErrPermanent, "The token of certificates.token sees %d active zones %s at Cloudflare: set dns.zone_id to the id of the one that the world is served from: %s.", len(active), a.o.Apex, strings.Join(active[:min(len(active), mostNamed)], ", "))
	case len(idle) > 0:
		return "", userError(greenroom.ErrNotFound, "The zone %s at Cloudflare is %s, not active: let its registrar name Cloudflare's servers.", a.o.Apex, idle[0])
	}
	return "", userError(greenroom.ErrNotFound, "Cloudflare accepts the token of certificates.token, but shows it no zone %s: give it the rights \"Zone, Zone, Read\" and \"Zone, SSL and Certificates, Edit\" for that zone.", a.o.Apex)
}

const mostNamed = 5
