package rfc2136dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/dns/batch"
	"greenroom/internal/dns/dnstest"
	"greenroom/internal/dns/rfc2136dns"
	"greenroom/internal/testenv/dnsserver"
)

const domain = "desk.example"

func open(server, owner string) *rfc2136dns.Zone {
	return rfc2136dns.New(options(server, owner))
}

func options(server, owner string) rfc2136dns.Options {
	return rfc2136dns.Options{
		Zone: domain, Server: server, KeyName: keyName, Owner: owner,
		Secret: func(context.Context) (string, error) { return secret, nil },
	}
}

// harness tests against the server at that address; plant puts a record into it.
func harness(server string, plant func(t *testing.T, rr miekg.RR)) dnstest.Harness {
	return dnstest.Harness{
		Zone: open(server, "us"), Domain: domain,
		Plant: func(t *testing.T, r dns.Record) {
			if r.Address.IsValid() {
				plant(t, parse(t, r.Name+". 60 IN A "+r.Address.String()))
			}
			if r.Address6.IsValid() {
				plant(t, parse(t, r.Name+". 60 IN AAAA "+r.Address6.String()))
			}
		},
		Reopen: func(*testing.T) dns.Zone { return open(server, "us") },
		Other:  func(*testing.T) dns.Zone { return open(server, "them") },
		Published: func(t *testing.T, name string) dns.Record {
			var told []netip.Addr
			for _, rr := range append(ask(t, server, name, miekg.TypeA), ask(t, server, name, miekg.TypeAAAA)...) {
				switch rr := rr.(type) {
				case *miekg.A:
					address, _ := netip.AddrFromSlice(rr.A.To4())
					told = append(told, address)
				case *miekg.AAAA:
					address, _ := netip.AddrFromSlice(rr.AAAA)
					told = append(told, address)
				}
			}
			return dns.NewRecord(name, told...)
		},
	}
}

func textHarness(server string) dnstest.TextHarness {
	return dnstest.TextHarness{Texts: open(server, "us"), Other: open(server, "them"), Domain: domain, Published: func(t *testing.T, name string) []string {
		var all []string
		for _, rr := range ask(t, server, name, miekg.TypeTXT) {
			if txt, ok := rr.(*miekg.TXT); ok {
				all = append(all, strings.Join(txt.Txt, ""))
			}
		}
		return all
	}}
}

func ask(t *testing.T, server, name string, kind uint16) []miekg.RR {
	t.Helper()
	m := new(miekg.Msg).SetQuestion(miekg.Fqdn(name), kind)
	m.SetTsig(keyName, miekg.HmacSHA256, 300, time.Now().Unix())
	answer, _, err := (&miekg.Client{Net: "tcp", TsigSecret: map[string]string{keyName: secret}, Timeout: 10 * time.Second}).Exchange(m, server)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Answer
}

func TestStrictServer(t *testing.T) {
	t.Parallel()
	strict := func(t *testing.T) dnstest.Harness {
		p := startPrimary(t, domain)
		return harness(p.address, func(_ *testing.T, rr miekg.RR) { p.plant(rr) })
	}
	dnstest.Run(t, strict)
	dnstest.RunWildcard(t, strict)
	dnstest.RunTexts(t, func(t *testing.T) dnstest.TextHarness { return textHarness(startPrimary(t, domain).address) })
}

// TestRealServer runs the same against a name server that many use.
func TestRealServer(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) string { return dnsserver.Start(t, domain, keyName, secret) }
	real := func(t *testing.T) dnstest.Harness {
		server := start(t)
		return harness(server, func(t *testing.T, rr miekg.RR) {
			m := new(miekg.Msg).SetUpdate(miekg.Fqdn(domain))
			m.Insert([]miekg.RR{rr})
			m.SetTsig(keyName, miekg.HmacSHA256, 300, time.Now().Unix())
			client := miekg.Client{Net: "tcp", TsigSecret: map[string]string{keyName: secret}, Timeout: 10 * time.Second}
			if answer, _, err := client.Exchange(m, server); err != nil || answer.Rcode != miekg.RcodeSuccess {
				t.Fatalf("plant %v: %v, %v", rr, answer, err)
			}
		})
	}
	dnstest.Run(t, real)
	dnstest.RunWildcard(t, real)
	dnstest.RunTexts(t, func(t *testing.T) dnstest.TextHarness { return textHarness(start(t)) })
}

func records(n int) ([]dns.Record, []string) {
	var all []dns.Record
	var names []string
	for i := range n {
		all = append(all, dns.Record{Name: fmt.Sprintf("i-%04d.%s", i, domain), Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})})
		names = append(names, all[i].Name)
	}
	return all, names
}

func TestManyNamesAreFewMessages(t *testing.T) {
	t.Parallel()
	p := startPrimary(t, domain)
	z := open(p.address, "us")
	all, names := records(1000)
	if err := z.SetRecords(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if err := z.DeleteRecords(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	if got := p.counts(); got["messages"] != 20 {
		t.Errorf("%v, want 20 messages", got)
	}
}

// TestSignaturesThatDoNotHold asks a server that many use what it says of them.
func TestSignaturesThatDoNotHold(t *testing.T) {
	t.Parallel()
	server := dnsserver.Start(t, domain, keyName, secret)
	for name, c := range map[string]struct {
		words   string
		refused bool
		alter   func(o *rfc2136dns.Options)
	}{
		"wrong secret": {"dns.tsig_secret", true, func(o *rfc2136dns.Options) {
			o.Secret = func(context.Context) (string, error) { return "d3Jvbmc=", nil }
		}},
		"unknown key":     {"does not know the key unknown.", true, func(o *rfc2136dns.Options) { o.KeyName = "unknown" }},
		"other algorithm": {"dns.tsig_algorithm", true, func(o *rfc2136dns.Options) { o.Algorithm = "hmac-sha1" }},
		"not its zone":    {"has to keep the zone elsewhere.example", false, func(o *rfc2136dns.Options) { o.Within = "elsewhere.example" }},
	} {
		o, refused := options(server, "us"), false
		o.Refused = func() { refused = true }
		c.alter(&o)
		facts, errs := rfc2136dns.New(o).Inspect(t.Context())
		if err := errors.Join(errs...); !errors.Is(err, greenroom.ErrForbidden) || !strings.Contains(err.Error(), c.words) || refused != c.refused {
			t.Errorf("%s: %v, refused %v", name, err, refused)
		}
		if len(facts.NameServers) > 0 {
			t.Errorf("%s: %+v", name, facts)
		}
	}
	facts, errs := open(server, "us").Inspect(t.Context())
	if len(errs) > 0 || len(facts.NameServers) != 1 || facts.NameServers[0] != "ns."+domain || facts.Seen.Sub(facts.Clock).Abs() > time.Minute {
		t.Errorf("%+v, %v", facts, errs)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	a := []dns.Record{{Name: "a." + domain, Address: netip.MustParseAddr("192.0.2.1")}}
	for _, c := range []struct {
		name, words string
		alter       func(o *rfc2136dns.Options)
		kind        error
	}{
		{"WrongSecret", "dns.tsig_secret", func(o *rfc2136dns.Options) {
			o.Secret = func(context.Context) (string, error) { return "d3Jvbmc=", nil }
		}, greenroom.ErrForbidden},
		{"SecretThatIsNone", "base64", func(o *rfc2136dns.Options) {
			o.Secret = func(context.Context) (string, error) { return "?", nil }
		}, greenroom.ErrForbidden},
		{"WrongKey", "dns.tsig_name", func(o *rfc2136dns.Options) { o.KeyName = "unknown" }, greenroom.ErrForbidden},
		{"WrongZone", "dns.server", func(o *rfc2136dns.Options) { o.Within = "example" }, greenroom.ErrForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(startPrimary(t, domain).address, "us")
			c.alter(&o)
			z := rfc2136dns.New(o)
			if err := z.SetRecords(t.Context(), a); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("set: %v", err)
			}
		})
	}

	t.Run("Unreachable", func(t *testing.T) {
		t.Parallel()
		z := open("127.0.0.1:1", "us")
		_, err := z.GetRecords(t.Context())
		for _, err := range []error{err, z.SetRecords(t.Context(), a)} {
			if err == nil || errors.Is(err, greenroom.ErrPermanent) || errors.Is(err, greenroom.ErrForbidden) {
				t.Errorf("%v is not transient", err)
			}
		}
	})

	t.Run("AnswerThatIsLost", func(t *testing.T) {
		t.Parallel()
		p := startPrimary(t, domain)
		p.mu.Lock()
		p.Drop = 1 // the update is made, and nobody told
		p.mu.Unlock()
		if err := open(p.address, "us").SetRecords(t.Context(), a); err != nil {
			t.Error(err)
		}
	})

	t.Run("DeadlineIsKept", func(t *testing.T) {
		t.Parallel()
		p := startPrimary(t, domain)
		p.mu.Lock()
		p.Drop = 100
		p.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := open(p.address, "us").SetRecords(ctx, a); err == nil || time.Since(began) > 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestThousandDesktops(t *testing.T) {
	t.Parallel()
	p := startPrimary(t, domain)
	gathered := batch.New(open(p.address, "us"))
	dnstest.Thousand(t, gathered, gathered.Run, domain, p.addresses, func() int { return p.counts()["updates"] }, 20)
}
