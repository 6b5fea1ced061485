package embeddeddns_test

import (
	"net"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom/internal/dns/dnstest"
	"greenroom/internal/dns/embeddeddns"
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
