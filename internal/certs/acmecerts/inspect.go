package acmecerts

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"

	"greenroom"
)

// DNS is what an Authority needs of a zone: to write and to remove challenges, as libdns does it.
type DNS = certmagic.DNSProvider

// Directory is what an authority says of itself.
type Directory struct {
	CAA        []string  // the names it looks for in CAA records
	Date       time.Time // its clock, in whole seconds; zero if it does not tell
	NeedsEAB   bool      // it wants an external account
	Registered bool      // we have an account with it
}

const maxDirectory = 64 << 10 // bytes

// Ask asks the authority of o for its directory. It changes nothing there.
func Ask(ctx context.Context, o Options) (Directory, error) {
	url := cmp.Or(o.Directory, LetsEncrypt)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Directory{}, err
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: o.Roots}, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return Directory{}, err
	}
	defer resp.Body.Close()
	var in struct {
		NewOrder string `json:"newOrder"`
		Meta     struct {
			CAA []string `json:"caaIdentities"`
			EAB bool     `json:"externalAccountRequired"`
		} `json:"meta"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxDirectory)).Decode(&in); err != nil || resp.StatusCode != http.StatusOK || in.NewOrder == "" {
		return Directory{}, fmt.Errorf("%s is no ACME directory: %s", url, resp.Status)
	}
	date, _ := http.ParseTime(resp.Header.Get("Date")) // zero if there is none
	accounts, err := filepath.Glob(filepath.Join(o.Dir, "acme", certmagic.StorageKeys.Safe(issuerKey(url)), "users", "*", "*.key"))
	return Directory{CAA: in.Meta.CAA, Date: date, NeedsEAB: in.Meta.EAB, Registered: len(accounts) > 0}, err
}

func issuerKey(url string) string { return (&certmagic.ACMEIssuer{CA: url}).IssuerKey() }

// EdgeLeaf is the edge's certificate for name as it is kept in o.Dir; greenroom.ErrNotFound if there is none.
func EdgeLeaf(o Options, name string) (*x509.Certificate, error) {
	key := certmagic.StorageKeys.SiteCert(issuerKey(cmp.Or(o.Directory, LetsEncrypt)), name)
	text, err := (&certmagic.FileStorage{Path: o.Dir}).Load(context.Background(), key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("certificate for %s: %w", name, greenroom.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read certificate for %s: %w", name, err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read certificate for %s: not PEM", name)
	}
	return x509.ParseCertificate(block.Bytes)
}
