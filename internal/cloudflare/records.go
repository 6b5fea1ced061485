package cloudflare

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// recordsPerPage is what greenroom asks for in one page, and mostRecords for a zone: more would be a server that never ends.
const (
	recordsPerPage = 5000
	mostRecords    = 2_000_000
)

// Record is a DNS record of a zone. An ID is Cloudflare's; a record to be made has none.
type Record struct {
	ID      string   `json:"id,omitempty"`
	Name    string   `json:"name"` // fully qualified: Cloudflare takes any other for relative to the zone
	Type    string   `json:"type"`
	Content string   `json:"content"`
	TTL     int      `json:"ttl"` // seconds; 1 is automatic
	Proxied bool     `json:"proxied"`
	Comment string   `json:"comment,omitempty"`
	Tags    []string `json:"tags,omitempty"`
}

// Filter says which records of a zone are listed. Empty fields say nothing.
type Filter struct {
	Name    string
	NameEnd string // with which names end
	Type    string
}

// Records hands each record of the zone that fits the filter to each.
func (c *Client) Records(ctx context.Context, zone string, f Filter, each func(Record)) error {
	p, err := path("zones", zone, "dns_records")
	if err != nil {
		return err
	}
	query := url.Values{}
	for key, value := range map[string]string{"name.exact": f.Name, "name.endswith": f.NameEnd, "type": f.Type} {
		if value != "" {
			query.Set(key, value)
		}
	}
	return list(ctx, c, p, query, recordsPerPage, mostRecords, each)
}

// Reference names a record.
type Reference struct {
	ID string `json:"id"`
}

// Batch is a list of changes: all are made, in this order of kinds, or none.
type Batch struct {
	Deletes []Reference `json:"deletes,omitempty"`
	Patches []Record    `json:"patches,omitempty"` // by their IDs
	Posts   []Record    `json:"posts,omitempty"`
}

// Batch makes the changes and returns the records that it patched and posted.
func (c *Client) Batch(ctx context.Context, zone string, b Batch) ([]Record, error) {
	p, err := path("zones", zone, "dns_records", "batch")
	if err != nil {
		return nil, err
	}
	var done struct {
		Patches []Record `json:"patches"`
		Posts   []Record `json:"posts"`
	}
	_, err = c.call(ctx, request{method: http.MethodPost, path: p, body: b}, &done)
	if err == nil && (len(done.Patches) != len(b.Patches) || len(done.Posts) != len(b.Posts)) {
		err = fmt.Errorf("Cloudflare answers with %d patched and %d new records instead of %d and %d", len(done.Patches), len(done.Posts), len(b.Patches), len(b.Posts)) //nolint:staticcheck // a name
	}
	return append(done.Patches, done.Posts...), err
}

// AddRecord makes a record.
func (c *Client) AddRecord(ctx context.Context, zone string, r Record) error {
	p, err := path("zones", zone, "dns_records")
	if err != nil {
		return err
	}
	_, err = c.call(ctx, request{method: http.MethodPost, path: p, body: r}, nil)
	return err
}

// DeleteRecord removes the record with the id.
func (c *Client) DeleteRecord(ctx context.Context, zone, id string) error {
	p, err := path("zones", zone, "dns_records", id)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, request{method: http.MethodDelete, path: p}, nil)
	return err
}
