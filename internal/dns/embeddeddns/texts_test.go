package embeddeddns_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom/internal/dns/dnstest"
	"greenroom/internal/dns/embeddeddns"
	"greenroom/internal/store/memstore"
)

func texts(t *testing.T, z *embeddeddns.Zone, name string) (all []string, rcode int) {
	t.Helper()
	m := ask(t, z, question(name, miekg.TypeTXT), &net.TCPAddr{})
	for _, rr := range m.Answer {
		all = append(all, strings.Join(rr.(*miekg.TXT).Txt, ""))
	}
	return all, m.Rcode
}

func TestTexts(t *testing.T) {
	t.Parallel()
	dnstest.RunTexts(t, func(t *testing.T) dnstest.TextHarness {
		z := open(t, &memory{})
		return dnstest.TextHarness{Texts: z, Domain: domain, Published: func(t *testing.T, name string) []string {
			all, _ := texts(t, z, name)
			return all
		}}
	})
}

// TestTextsOfReplicas shows through one replica what was added through another.
func TestTextsOfReplicas(t *testing.T) {
	t.Parallel()
	dnstest.RunTexts(t, func(t *testing.T) dnstest.TextHarness {
		kept, records := memstore.New(), &memory{}
		replica := func() *embeddeddns.Zone {
			z, err := embeddeddns.Open(t.Context(), embeddeddns.Options{Zone: domain, Owner: "us", Records: records, Shared: true, Texts: kept})
			if err != nil {
				t.Fatal(err)
			}
			return z
		}
		first, second := replica(), replica()
		return dnstest.TextHarness{Texts: first, Domain: domain, Published: func(t *testing.T, name string) []string {
			here, _ := texts(t, first, name)
			there, rcode := texts(t, second, name)
			if !slices.Equal(here, there) || len(there) == 0 && rcode != miekg.RcodeNameError {
				t.Errorf("one replica answers %q, the other %q, %s", here, there, miekg.RcodeToString[rcode])
			}
			return there
		}}
	})
}

func TestTextsMakeTheNamesAboveThemExist(t *testing.T) {
	t.Parallel()
	z := open(t, &memory{})
	name := "_acme-challenge.i-1." + domain
	if err := z.AddText(t.Context(), name, "proof", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, rcode := texts(t, z, "i-1."+domain); rcode != miekg.RcodeSuccess {
		t.Errorf("the name above does not exist: %s", miekg.RcodeToString[rcode])
	}
	if err := z.RemoveText(t.Context(), name, "proof"); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{name, "i-1." + domain} {
		if _, rcode := texts(t, z, gone); rcode != miekg.RcodeNameError {
			t.Errorf("%s: %s, want that it does not exist", gone, miekg.RcodeToString[rcode])
		}
	}
}
