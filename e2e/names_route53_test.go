package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/testenv/moto"
)

// hosted is a zone at moto, which takes a while until all its servers know a change, as Route 53's do.
type hosted struct {
	domain, id, endpoint string
	api                  *route53.Client
	looks                atomic.Int64 // GetChange, since the last change

	mu    sync.Mutex
	known map[string]string // address by name, as its servers say
}

// spread is how often it is asked before all servers know a change.
const spread = 2

func newHosted(t *testing.T, domain string) *hosted {
	t.Helper()
	target, err := url.Parse(moto.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	h := &hosted{domain: domain, known: map[string]string{}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = h.delay
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	h.endpoint = s.URL
	h.api = route53.New(route53.Options{Region: "us-east-1", BaseEndpoint: aws.String(target.String()), Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "secret"}, nil
	})})
	made, err := h.api.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String(domain), CallerReference: aws.String(domain)})
	if err != nil {
		t.Fatal(err)
	}
	h.id = strings.TrimPrefix(*made.HostedZone.Id, "/hostedzone/")
	return h
}

// delay makes changes pending until they were asked about often enough. Only then do the servers know them.
func (h *hosted) delay(resp *http.Response) error {
	change := resp.Request.Method == http.MethodPost && strings.HasSuffix(strings.TrimSuffix(resp.Request.URL.Path, "/"), "/rrset")
	look := strings.Contains(resp.Request.URL.Path, "/change/")
	if resp.StatusCode != http.StatusOK || !change && !look {
		return nil
	}
	if change {
		h.looks.Store(0)
	} else if h.looks.Add(1) >= spread {
		return h.learn()
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	body = bytes.ReplaceAll(body, []byte("INSYNC"), []byte("PENDING"))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}

func (h *hosted) learn() error {
	all, err := h.records(context.Background())
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.known)
	for _, r := range all {
		if r.Type == types.RRTypeA {
			h.known[strings.TrimSuffix(*r.Name, ".")] = *r.ResourceRecords[0].Value
		}
	}
	return nil
}

func (h *hosted) says(name string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a, ok := h.known[name]; ok {
		return []string{a}
	}
	return nil
}

func (h *hosted) records(ctx context.Context) ([]types.ResourceRecordSet, error) {
	var all []types.ResourceRecordSet
	pages := route53.NewListResourceRecordSetsPaginator(h.api, &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(h.id)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.ResourceRecordSets...)
	}
	return all, nil
}

// plant writes n records of somebody else.
func (h *hosted) plant(t *testing.T, n int) {
	t.Helper()
	var changes []types.Change
	for i := range n {
		changes = append(changes, types.Change{Action: types.ChangeActionCreate, ResourceRecordSet: &types.ResourceRecordSet{
			Name: aws.String(fmt.Sprintf("foreign-%d.%s", i, h.domain)), Type: types.RRTypeA, TTL: aws.Int64(60), ResourceRecords: []types.ResourceRecord{{Value: aws.String("192.0.2.9")}},
		}})
	}
	if _, err := h.api.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{HostedZoneId: aws.String(h.id), ChangeBatch: &types.ChangeBatch{Changes: changes}}); err != nil {
		t.Fatal(err)
	}
}

// TestNamesAtRoute53 names desktops in a zone of several pages of somebody else's records, and removes them again.
func TestNamesAtRoute53(t *testing.T) {
	t.Parallel()
	h := newHosted(t, "aws.example.com")
	h.plant(t, 350)
	before, err := h.records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	servers := newNameServer(t, h.says)
	s := newNamed(t, fmt.Sprintf("zone: %s\ndns: {provider: route53, endpoint: %q, servers: [%q]}\n", h.domain, h.endpoint, servers))
	s.under = []string{"env", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=us-east-1"}
	s.start()
	m := s.proved(mustSchedule(t, s, "At Route 53", "now").ID)
	for _, seat := range m.Seats {
		reaches(t, servers, seat.Desktop.Hostname, "", s.authority())
		if n := s.said(m.ID, seat.Role, "not answer from outside yet"); n != 0 {
			t.Errorf("the desktop was looked for %d times before all servers had its name", n)
		}
	}
	s.ended(m.ID)
	after, err := h.records(t.Context())
	if err != nil || len(after) != len(before) {
		t.Errorf("%d records after, %d before: %v", len(after), len(before), err)
	}
	s.nothingLeft()
}

// TestWithoutAWSCredentials says what is missing.
func TestWithoutAWSCredentials(t *testing.T) {
	t.Parallel()
	h := newHosted(t, "nobody.example.com")
	s := newNamed(t, fmt.Sprintf("zone: %s\ndns: {provider: route53, endpoint: %q}\n", h.domain, h.endpoint))
	s.under = []string{"env", "-u", "AWS_ACCESS_KEY_ID", "-u", "AWS_SECRET_ACCESS_KEY", "-u", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null"}
	s.start()
	m := mustSchedule(t, s, "Nobody's account", "now")
	m = s.becomes(m.ID, "the trouble", func(m wire.Meeting) bool { return trouble(m.Seats[0].Desktop) != "" })
	if got := trouble(m.Seats[0].Desktop); !strings.Contains(got, "no AWS credentials") || m.Seats[0].Desktop.Phase != greenroom.Naming {
		t.Errorf("a desktop that is %s says %q", m.Seats[0].Desktop.Phase, got)
	}
	s.endsUnnamed(m)
}
