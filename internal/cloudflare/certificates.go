package cloudflare

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// CertificateRequest asks Origin CA to sign.
type CertificateRequest struct {
	CSR       string   `json:"csr"` // PEM
	Hostnames []string `json:"hostnames"`
	Type      string   `json:"request_type"`       // origin-ecc or origin-rsa, as the request's key is
	Days      int      `json:"requested_validity"` // 7, 30, 90, 365, 730, 1095 or 5475
}

// Certificate is one that Origin CA has signed.
type Certificate struct {
	ID          string `json:"id"`
	Certificate string `json:"certificate"` // PEM
}

// Sign has a certificate signed.
func (c *Client) Sign(ctx context.Context, r CertificateRequest) (Certificate, error) {
	var signed Certificate
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/certificates", body: r}, &signed)
	if err == nil && (signed.ID == "" || signed.Certificate == "") {
		err = errors.New("Cloudflare answers without a certificate") //nolint:staticcheck // a name
	}
	return signed, err
}

// MayListCertificates asks for a few certificates of the zone, to see whether that is allowed.
func (c *Client) MayListCertificates(ctx context.Context, zone string) error {
	_, err := c.call(ctx, request{method: http.MethodGet, path: "/certificates", query: url.Values{"zone_id": {zone}, "per_page": {"5"}}}, nil)
	return err
}

// Revoke revokes the certificate with the id.
func (c *Client) Revoke(ctx context.Context, id string) error {
	p, err := path("certificates", id)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, request{method: http.MethodDelete, path: p}, nil)
	return err
}
