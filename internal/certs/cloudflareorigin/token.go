package cloudflareorigin

import (
	"context"

	"github.com/cloudflare/cloudflare-go/v6/option"
	origin "github.com/cloudflare/cloudflare-go/v6/origin_ca_certificates"
	"github.com/cloudflare/cloudflare-go/v6/zones"

	"greenroom"
)

// CheckToken says what is wrong with the token, as far as it can be seen without having anything signed.
func (a *Authority) CheckToken(ctx context.Context) error {
	var named zones.ZoneListParams
	named.Name.Value, named.Name.Present = a.o.Apex, true
	id := ""
	err := a.call(ctx, "find the zone "+a.o.Apex, func(auth option.RequestOption) error {
		list, err := zones.NewZoneService(append([]option.RequestOption{auth}, a.api.Options...)...).List(ctx, named)
		if err == nil && len(list.Result) == 1 {
			id = list.Result[0].ID
		}
		return err
	})
	if err != nil {
		return err
	}
	if id == "" {
		return userError(greenroom.ErrNotFound, "Cloudflare accepts the token of certificates.token, but shows it no zone %s: give it the rights \"Zone, Zone, Read\" and \"Zone, SSL and Certificates, Edit\" for that zone.", a.o.Apex)
	}
	var ask origin.OriginCACertificateListParams
	ask.ZoneID.Value, ask.ZoneID.Present = id, true
	ask.PerPage.Value, ask.PerPage.Present = 5, true
	return a.call(ctx, "list certificates", func(auth option.RequestOption) error {
		_, err := a.api.List(ctx, ask, auth)
		return err
	})
}
