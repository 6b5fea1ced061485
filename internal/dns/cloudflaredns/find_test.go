package cloudflaredns_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/dns/cloudflaredns"
	"greenroom/internal/testenv/cloudflare"
)

const otherID = "0123456789abcdef0123456789abcdef"

// other is a zone of another account.
func other(name, status string) []cloudflare.Zone {
	return []cloudflare.Zone{{ID: otherID, Name: name, Status: status, Account: "ACME Ltd"}}
}

func TestZoneIsFoundByItsExactNameIfItIsServed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		others []cloudflare.Zone
		status string // of the zone that has the records
		zoneID string // "": found by name; "main": that of the zone
		kind   error
		says   []string // of the error; none: records are written
	}{
		"alone":                           {nil, "active", "", nil, nil},
		"moved away in another account":   {other("example.com", "moved"), "active", "", nil, nil},
		"pending in another account":      {other("example.com", "pending"), "active", "", nil, nil},
		"a deeper one has moved away":     {other(domain, "moved"), "active", "", nil, nil},
		"two are active":                  {other("example.com", "active"), "active", "", greenroom.ErrPermanent, []string{"2 active zones example.com", "dns.zone_id", otherID, "ACME Ltd"}},
		"two are active and one is named": {other("example.com", "active"), "active", "main", nil, nil},
		"pending":                         {nil, "pending", "", nil, []string{"is pending, not active", "ada.ns.cloudflare.com", "dns.zone_id"}},
		"pending and named":               {nil, "pending", "main", nil, nil},
		"moved":                           {nil, "moved", "", nil, []string{"is moved, not active"}},
		"moved and named":                 {nil, "moved", "main", nil, []string{"is moved, not active", "set dns.zone_id to the zone that is served"}},
		"set up in part and named":        {nil, "initializing", "main", nil, []string{"is initializing, not active"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cloudflare.New(t, "example.com")
			s.Others, s.Status = test.others, test.status
			o := options(s, "us")
			if test.zoneID != "" {
				o.ZoneID = s.ZoneID
			}
			z := cloudflaredns.New(o)
			err := set(z, t, "a")
			for _, says := range test.says {
				if err == nil || !strings.Contains(greenroom.Sentence(err, ""), says) {
					t.Errorf("%v does not say %q", err, says)
				}
			}
			if test.kind != nil && !errors.Is(err, test.kind) {
				t.Errorf("%v is not %v", err, test.kind)
			}
			if len(test.says) == 0 && (err != nil || len(s.Records()) != 1) || len(test.says) > 0 && len(s.Records()) != 0 {
				t.Errorf("%d records, %v", len(s.Records()), err)
			}
			if test.kind != nil || len(test.says) == 0 {
				return
			}
			for _, kind := range []error{greenroom.ErrPermanent, greenroom.ErrForbidden, greenroom.ErrConflict} {
				if errors.Is(err, kind) {
					t.Errorf("%v is not transient", err)
				}
			}
			if facts, errs := z.Inspect(t.Context()); len(errs) > 0 || !strings.Contains(facts.Pending, test.says[0]) || facts.Apex != "example.com" {
				t.Errorf("%+v, %v", facts, errs)
			}
			s.Status = "active" // its registrar has been told
			if err := set(z, t, "a"); err != nil || len(s.Records()) != 1 {
				t.Errorf("%d records, %v", len(s.Records()), err)
			}
		})
	}
}

func TestZonesOfOtherNamesAreNotTaken(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool { // as if the filter were not known
		if strings.HasSuffix(r.URL.Path, "/zones") {
			cloudflare.OK(w, []any{map[string]any{"id": otherID, "name": "not-" + r.URL.Query().Get("name"), "status": "active"}}, nil)
			return true
		}
		return false
	}
	if err := set(open(s, "us"), t, "a"); !errors.Is(err, greenroom.ErrForbidden) || !strings.Contains(greenroom.Sentence(err, ""), "sees no zone") {
		t.Errorf("%v", err)
	}
}

// TestRefusalIsNotSomebodyElsesRecord: only a record that is listed and not ours is called that.
func TestRefusalIsNotSomebodyElsesRecord(t *testing.T) {
	t.Parallel()
	const others = "not greenroom's"
	bad := "bad." + domain
	for name, test := range map[string]struct {
		status, code int
		message      string
		kind         error // nil: transient
		says         string
		refused      bool // the token's owner is told
	}{
		"exists, and is not listed": {400, 81053, "An A, AAAA, or CNAME record with that host already exists.", nil, "already exists", false},
		"not permitted in the zone": {403, 1038, "You cannot use this API for domains with this TLD.", greenroom.ErrForbidden, "does not permit changes in this zone", false},
		"not allowed to the token":  {403, 10000, "Authentication error", greenroom.ErrForbidden, "DNS Edit", true},
		"not valid":                 {400, 9000, "DNS name is invalid.", greenroom.ErrPermanent, "refuses the name", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cloudflare.New(t, "example.com")
			s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/batch") {
					return false
				}
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				if !strings.Contains(string(body), bad) {
					return false
				}
				cloudflare.Fail(w, test.status, test.code, "%s", test.message)
				return true
			}
			o, refused := options(s, "us"), 0
			o.Refused = func() { refused++ }
			err := set(cloudflaredns.New(o), t, "a", "bad", "c")
			said := dns.Explain(err)
			if sentence := greenroom.Sentence(said, ""); strings.Contains(sentence, others) || !strings.Contains(sentence, test.says) || errors.Is(err, greenroom.ErrConflict) {
				t.Errorf("%q for %v", sentence, err)
			}
			if test.kind != nil && !errors.Is(err, test.kind) || test.kind == nil && (errors.Is(err, greenroom.ErrPermanent) || errors.Is(err, greenroom.ErrForbidden)) {
				t.Errorf("%v", err)
			}
			if (refused > 0) != test.refused {
				t.Errorf("refused %d times", refused)
			}
			if test.status == 400 && len(s.Records()) != 2 {
				t.Errorf("%d records, want those of a and c", len(s.Records()))
			}
		})
	}

	t.Run("ListedAndNotOurs", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		s.Plant(cloudflare.Record{Name: bad, Type: "CNAME", Content: "elsewhere.example"})
		err := set(open(s, "us"), t, "a", "bad", "c")
		if sentence := greenroom.Sentence(dns.Explain(err), ""); !strings.Contains(sentence, others) || !errors.Is(err, greenroom.ErrConflict) {
			t.Errorf("%q for %v", sentence, err)
		}
	})
}

func TestZoneIsReadInPagesOfAnySize(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	s.PageSize = 100 // although more are asked for
	for i := range 250 {
		s.Plant(cloudflare.Record{Name: "p" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + "." + domain, Type: "CNAME", Content: "elsewhere.example"})
	}
	z := open(s, "us")
	if err := set(z, t, "pjp"); !errors.Is(err, greenroom.ErrConflict) { // on the third page
		t.Errorf("%v", err)
	}
	lists := slices.DeleteFunc(s.Calls(), func(call string) bool {
		return !strings.HasPrefix(call, "GET") || !strings.HasSuffix(call, "/dns_records")
	})
	if len(lists)%3 != 0 || len(lists) == 0 {
		t.Errorf("%d pages were read: %q", len(lists), s.Calls())
	}
}

func TestShortOutageIsNotSeen(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	failed := map[string]bool{}
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if failed[r.URL.Path] || r.Method != http.MethodGet {
			return false
		}
		failed[r.URL.Path] = true
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	if err := set(open(s, "us"), t, "a"); err != nil || len(failed) < 2 {
		t.Errorf("%v; %v failed once", err, failed)
	}
}

func TestTokenErrorIsHandedOn(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	o, gone := options(s, "us"), errors.New("the secret is gone")
	o.Token = func(context.Context) (string, error) { return "", gone }
	if err := set(cloudflaredns.New(o), t, "a"); !errors.Is(err, gone) || len(s.Calls()) > 0 {
		t.Errorf("%v, %q", err, s.Calls())
	}
}
