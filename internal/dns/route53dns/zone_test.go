package route53dns_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/dns/batch"
	"greenroom/internal/dns/dnstest"
	"greenroom/internal/dns/route53dns"
	"greenroom/internal/testenv/moto"
)

var credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "secret"}, nil
})

// world is a hosted zone of its own at moto, behind a proxy that counts calls and can answer itself.
type world struct {
	id, domain, endpoint string
	api                  *route53.Client

	mu    sync.Mutex
	calls []string
	gate  gate
	fault func(w http.ResponseWriter, r *http.Request) bool
}

var zones atomic.Int64

func newWorld(t *testing.T) *world {
	t.Helper()
	target, err := url.Parse(moto.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{domain: fmt.Sprintf("z%d.example.com", zones.Add(1))}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = asteriskInOctal
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.calls = append(w.calls, r.Method+" "+r.URL.Path)
		fault := w.fault
		w.mu.Unlock()
		if (fault == nil || !fault(rw, r)) && w.gate.lets(rw, r) {
			proxy.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(s.Close)
	w.endpoint = s.URL
	w.api = route53.New(route53.Options{Region: "us-east-1", BaseEndpoint: aws.String(w.endpoint), Credentials: credentials})
	made, err := w.api.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String(w.domain), CallerReference: aws.String(w.domain)})
	if err != nil {
		t.Fatal(err)
	}
	w.id = strings.TrimPrefix(*made.HostedZone.Id, "/hostedzone/")
	w.mu.Lock()
	w.calls = nil
	w.mu.Unlock()
	return w
}

// asteriskInOctal answers wildcards as Route 53 does, and moto does not.
func asteriskInOctal(r *http.Response) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	body = bytes.ReplaceAll(body, []byte("<Name>*."), []byte(`<Name>\052.`))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// open asks faster than Amazon would have it: moto does not count.
func (w *world) open(owner string) *route53dns.Zone {
	return route53dns.New(route53dns.Options{Zone: w.domain, Owner: owner, AWS: aws.Config{Credentials: credentials}, Endpoint: w.endpoint, Rate: 1000, FirstPoll: 50 * time.Millisecond})
}

// openPaced is open at the rate that Amazon allows.
func (w *world) openPaced(owner string) *route53dns.Zone {
	return route53dns.New(route53dns.Options{Zone: w.domain, Owner: owner, AWS: aws.Config{Credentials: credentials}, Endpoint: w.endpoint})
}

func (w *world) setFault(f func(http.ResponseWriter, *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls)
}

func (w *world) values(t *testing.T, name string, kind types.RRType) []string {
	t.Helper()
	var all []string
	pages := route53.NewListResourceRecordSetsPaginator(w.api, &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(w.id)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.ResourceRecordSets {
			if strings.Replace(*s.Name, `\052.`, "*.", 1) == name+"." && s.Type == kind {
				for _, r := range s.ResourceRecords {
					all = append(all, strings.Trim(*r.Value, `"`))
				}
			}
		}
	}
	return all
}

func (w *world) plant(t *testing.T, r dns.Record) {
	t.Helper()
	_, err := w.api.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{HostedZoneId: aws.String(w.id), ChangeBatch: &types.ChangeBatch{
		Changes: []types.Change{{Action: types.ChangeActionCreate, ResourceRecordSet: &types.ResourceRecordSet{
			Name: aws.String(r.Name + "."), Type: types.RRTypeA, TTL: aws.Int64(300), ResourceRecords: []types.ResourceRecord{{Value: aws.String(r.Address.String())}},
		}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	harness := func(t *testing.T) dnstest.Harness {
		w := newWorld(t)
		return dnstest.Harness{
			Zone: w.open("us"), Domain: w.domain, Plant: w.plant,
			Reopen: func(*testing.T) dns.Zone { return w.open("us") },
			Other:  func(*testing.T) dns.Zone { return w.open("them") },
			Published: func(t *testing.T, name string) (netip.Addr, bool) {
				for _, v := range w.values(t, name, types.RRTypeA) {
					return netip.MustParseAddr(v), true
				}
				return netip.Addr{}, false
			},
		}
	}
	dnstest.Run(t, harness)
	dnstest.RunWildcard(t, harness)
}

func TestTexts(t *testing.T) {
	t.Parallel()
	dnstest.RunTexts(t, func(t *testing.T) dnstest.TextHarness {
		w := newWorld(t)
		return dnstest.TextHarness{Texts: w.open("us"), Other: w.open("them"), Domain: w.domain, Published: func(t *testing.T, name string) []string {
			return w.values(t, name, types.RRTypeTxt)
		}}
	})
}

func (w *world) records(n int) (all []dns.Record, names []string) {
	for i := range n {
		all = append(all, dns.Record{Name: fmt.Sprintf("i-%04d.%s", i, w.domain), Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})})
		names = append(names, all[i].Name)
	}
	return all, names
}

func TestManyNamesAreFewCallsWithinTheLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gateAlone()
	z := w.open("k3v9m2x7c4p8q1r5")
	all, names := w.records(1000)
	if err := z.SetRecords(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if err := z.DeleteRecords(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	if got, most := w.count(), 1+2*3; got > most {
		t.Errorf("%d calls, want at most %d", got, most)
	}
	if got := len(w.gate.sets); got > 0 {
		t.Errorf("%d record sets are left", got)
	}
}

func TestThousandDesktops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gateAlone()
	gathered := batch.New(w.openPaced("k3v9m2x7c4p8q1r5"))
	dnstest.Thousand(t, gathered, gathered.Run, w.domain, func() int {
		w.gate.mu.Lock()
		defer w.gate.mu.Unlock()
		return len(w.gate.sets) / 2
	}, func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		for _, call := range w.calls {
			if strings.HasPrefix(call, http.MethodPost) {
				n++
			}
		}
		return n
	}, 2*3)
}

// gateAlone lets the gate judge and keep changes by itself: batches of a thousand take moto minutes.
func (w *world) gateAlone() {
	w.setFault(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		if w.gate.lets(rw, r) {
			fmt.Fprint(rw, `<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>INSYNC</Status><SubmittedAt>2026-11-23T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>`)
		}
		return true
	})
}

func awsError(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error></ErrorResponse>`, code)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, code, words string
		status            int
		kind              error
	}{
		{"NoRights", "AccessDenied", "route53:ChangeResourceRecordSets", 403, greenroom.ErrForbidden},
		{"WrongKey", "InvalidClientTokenId", "credentials", 403, greenroom.ErrForbidden},
		{"WrongZone", "NoSuchHostedZone", "dns.zone_id", 404, greenroom.ErrForbidden},
		{"Throttled", "Throttling", "no calls until", 400, greenroom.ErrThrottled},
		{"AnotherChangeIsUnderWay", "PriorRequestNotComplete", "no calls until", 400, greenroom.ErrThrottled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setFault(func(rw http.ResponseWriter, _ *http.Request) bool {
				awsError(rw, c.status, c.code)
				return true
			})
			all, _ := w.records(10)
			if err := w.open("us").SetRecords(t.Context(), all); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v", err)
			}
			if got := w.count(); got != 1 {
				t.Errorf("%d calls, want 1", got)
			}
		})
	}

	t.Run("SettleWaitsForAllServers", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		var asked atomic.Int64
		var known atomic.Bool // by all servers
		w.setFault(func(rw http.ResponseWriter, r *http.Request) bool {
			pending := `<ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-11-23T00:00:00Z</SubmittedAt></ChangeInfo>`
			switch {
			case strings.HasSuffix(r.URL.Path, "/rrset") || strings.HasSuffix(r.URL.Path, "/rrset/"):
				if r.Method != http.MethodPost {
					return false
				}
				fmt.Fprintf(rw, `<ChangeResourceRecordSetsResponse>%s</ChangeResourceRecordSetsResponse>`, pending)
			case strings.Contains(r.URL.Path, "/change/"):
				asked.Add(1)
				if known.Load() {
					pending = strings.Replace(pending, "PENDING", "INSYNC", 1)
				}
				fmt.Fprintf(rw, `<GetChangeResponse>%s</GetChangeResponse>`, pending)
			default:
				return false
			}
			return true
		})
		z := w.open("us")
		all, _ := w.records(1)
		if err := z.SetRecords(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := z.Settle(short); !isPending(err) {
			t.Errorf("%v, want a time to ask again", err)
		}
		if err := dns.Await(short, z.Settle); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the deadline", err)
		}
		known.Store(true)
		before := asked.Load()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := dns.Await(t.Context(), z.Settle); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := asked.Load() - before; got != 1 {
			t.Errorf("asked %d times for 20 that waited", got)
		}
	})

	t.Run("Unreachable", func(t *testing.T) {
		t.Parallel()
		z := route53dns.New(route53dns.Options{Zone: "z.example.com", ZoneID: "Z1", Owner: "us", AWS: aws.Config{Credentials: credentials}, Endpoint: "http://127.0.0.1:1"})
		_, err := z.GetRecords(t.Context())
		if err == nil || errors.Is(err, greenroom.ErrPermanent) || errors.Is(err, greenroom.ErrForbidden) {
			t.Errorf("%v is not transient", err)
		}
	})
}

func isPending(err error) bool {
	p, ok := errors.AsType[*dns.PendingError](err)
	return ok && time.Until(p.Until) > 0
}

// answering lets Route 53 answer requests whose path has that end with one text, and nothing else.
func answering(w *world, end string, status int, text string) {
	w.setFault(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), end) || end == "/rrset" && r.Method != http.MethodPost {
			return false
		}
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, text)
		return true
	})
}

// TestTheZoneIsChosenByItsExactName : Route 53 lists zones from a name on, private ones among them.
func TestTheZoneIsChosenByItsExactName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listed := func(zones ...string) string {
		return "<ListHostedZonesByNameResponse><HostedZones>" + strings.Join(zones, "") + "</HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesByNameResponse>"
	}
	zone := func(id, name string, private bool) string {
		return fmt.Sprintf("<HostedZone><Id>/hostedzone/%s</Id><Name>%s.</Name><CallerReference>c</CallerReference><Config><PrivateZone>%t</PrivateZone></Config></HostedZone>", id, name, private)
	}
	for name, tt := range map[string]struct {
		zones []string
		want  string
		says  string
	}{
		"another domain follows": {[]string{zone("ZOTHER", "zz.example.net", false)}, "", "no public hosted zone"},
		"private and public":     {[]string{zone("ZPRIVATE", w.domain, true), zone("ZPUBLIC", w.domain, false), zone("ZOTHER", "zz.example.net", false)}, "ZPUBLIC", ""},
		"two public ones":        {[]string{zone("ZONE", w.domain, false), zone("ZTWO", w.domain, false)}, "", "set dns.zone_id"},
	} {
		answering(w, "/hostedzonesbyname", http.StatusOK, listed(tt.zones...))
		id, err := w.open("us").ID(t.Context())
		if says := greenroom.Sentence(err, ""); id != tt.want || (err == nil) != (tt.says == "") || !strings.Contains(says, tt.says) {
			t.Errorf("%s: %q, %v", name, id, err)
		}
	}
}

// TestANameOfAnotherZoneIsNoConflict : no record is in the way, and no other name would do better.
func TestANameOfAnotherZoneIsNoConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	z := w.open("us")
	if _, err := z.ID(t.Context()); err != nil {
		t.Fatal(err)
	}
	answering(w, "/rrset", http.StatusBadRequest, `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidChangeBatch</Code><Message>[RRSet with DNS name i-1.`+w.domain+`. is not permitted in zone other.example.]</Message></Error></ErrorResponse>`)
	all, _ := w.records(2)
	err := z.SetRecords(t.Context(), all)
	if errors.Is(err, greenroom.ErrConflict) || !errors.Is(err, greenroom.ErrForbidden) || !strings.Contains(greenroom.Sentence(err, ""), "not within the hosted zone") {
		t.Errorf("refused with %v", err)
	}
}
