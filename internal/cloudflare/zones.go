package cloudflare

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// States of a zone. Cloudflare serves what is active; it answers for what is pending too, but only at the servers that it has
// assigned, and without its edge. Any other zone is not served: its registrar names servers elsewhere, or it is not set up.
const (
	Active  = "active"
	Pending = "pending"
)

// Lists of zones come in pages of at most 50. No token sees a thousand zones of one name.
const (
	zonesPerPage = 50
	mostZones    = 1000
)

// Zone is a zone at Cloudflare.
type Zone struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Status      string   `json:"status"`
	NameServers []string `json:"name_servers"`
	Plan        struct {
		LegacyID string `json:"legacy_id"` // free, pro, business or enterprise
	} `json:"plan"`
	Account struct {
		Name string `json:"name"`
	} `json:"account"`
}

// Zone asks for the zone with the id.
func (c *Client) Zone(ctx context.Context, id string) (Zone, error) {
	p, err := path("zones", id)
	if err != nil {
		return Zone{}, err
	}
	var z Zone
	if _, err = c.call(ctx, request{method: http.MethodGet, path: p}, &z); err == nil && z.ID != id {
		err = fmt.Errorf("Cloudflare answers with the zone %.40q instead of %s", z.ID, id) //nolint:staticcheck // a name
	}
	return z, err
}

// Zones lists the zones with exactly this name that the token may see: more than one if several accounts have it, as when a
// domain has moved from one to the other.
func (c *Client) Zones(ctx context.Context, name string) ([]Zone, error) {
	var all []Zone
	err := list(ctx, c, "/zones", url.Values{"name": {name}}, zonesPerPage, mostZones, func(z Zone) {
		if z.Name == name {
			all = append(all, z)
		}
	})
	return all, err
}

// TokenStatus asks whether the token is active, disabled or expired. It knows tokens of users only, not those of accounts.
func (c *Client) TokenStatus(ctx context.Context) (string, error) {
	var token struct {
		Status string `json:"status"`
	}
	_, err := c.call(ctx, request{method: http.MethodGet, path: "/user/tokens/verify"}, &token)
	return token.Status, err
}
