package acmecerts_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/certstest"
	"greenroom/internal/testenv/locked"
	"greenroom/internal/testenv/pebbletest"
)

const domain = "desk.example.com"

// rig is an authority, a zone that it asks, and our account with it.
type rig struct {
	*acmecerts.Authority
	pebble  *pebbletest.Authority
	zone    *zone
	options acmecerts.Options
	log     *locked.Buffer
}

func setup(t *testing.T, p pebbletest.Options, change ...func(*acmecerts.Options)) *rig {
	t.Helper()
	r := &rig{zone: newZone(t, domain), log: new(locked.Buffer)}
	p.DNS = r.zone.address
	r.pebble = pebbletest.Start(t, p)
	r.options = acmecerts.Options{
		Dir: filepath.Join(t.TempDir(), "acme"), Zone: domain, Directory: r.pebble.Directory, Email: "ops@example.com", DNS: r.zone,
		Resolvers: []string{r.zone.address}, Roots: r.pebble.Roots, Patience: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, f := range change {
		f(&r.options)
	}
	r.Authority = acmecerts.Open(r.options)
	t.Cleanup(r.Close)
	return r
}

// ask asks for a new desktop's certificate until it is there or refused.
func (r *rig) ask(t *testing.T, host string) error {
	t.Helper()
	return r.askAs(t, certstest.Request(t, certstest.ECKey(t), host), host)
}

func (r *rig) askAs(t *testing.T, request []byte, host string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := r.Issue(ctx, request, host, time.Now().Add(time.Hour))
		if !errors.Is(err, certs.ErrPending) {
			return err
		}
	}
}

func wantSentence(t *testing.T, err error, kind error, says string) {
	t.Helper()
	if got := greenroom.Sentence(err, ""); !strings.Contains(got, says) || kind != nil && !errors.Is(err, kind) {
		t.Errorf("got %q (%v), want %v and %q", got, err, kind, says)
	}
}

// TestSuite orders from an authority that refuses every fourth nonce.
func TestSuite(t *testing.T) {
	t.Parallel()
	r := setup(t, pebbletest.Options{RejectNonces: 25})
	t.Cleanup(func() {
		if left, wrote := r.zone.left(); left > 0 || wrote == 0 {
			t.Errorf("%d of %d challenges were left in the zone", left, wrote)
		}
	})
	certstest.Run(t, certstest.Kind{Zone: domain, Named: true, FixedLife: 91 * 24 * time.Hour}, func(*testing.T) certs.Issuer { return r })
}

func TestOneOrderForManyQuestions(t *testing.T) {
	t.Parallel()
	r := setup(t, pebbletest.Options{})
	request := certstest.Request(t, certstest.ECKey(t), "i-1."+domain)
	for range 3 {
		if err := r.askAs(t, request, "i-1."+domain); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.pebble.Orders(); n != 1 {
		t.Errorf("%d orders", n)
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	r := setup(t, pebbletest.Options{}, func(o *acmecerts.Options) {
		o.Limits = &acmecerts.Limits{
			Certificates: acmecerts.Limit{Count: 2, Every: 202 * time.Minute, Words: "2 certificates a week"},
			Failures:     acmecerts.Limit{Count: 5, Every: time.Hour, Words: "5 failures"},
		}
	})
	for n := range 2 {
		if err := r.ask(t, fmt.Sprintf("i-%d.%s", n, domain)); err != nil {
			t.Fatal(err)
		}
	}
	orders := r.pebble.Orders()
	wantSentence(t, r.ask(t, "i-9."+domain), greenroom.ErrThrottled, "2 certificates a week, and these are used up until")
	if n := r.pebble.Orders(); n != orders {
		t.Error("it ordered all the same")
	}
	r.Close()
	again := acmecerts.Open(r.options)
	t.Cleanup(again.Close)
	_, err := again.Issue(t.Context(), certstest.Request(t, certstest.ECKey(t), "i-9."+domain), "i-9."+domain, time.Now().Add(time.Hour))
	wantSentence(t, err, greenroom.ErrThrottled, "access gateway")
	left, err := acmecerts.Allowances(r.options, "i-9."+domain)
	if err != nil || len(left) != 2 || left[0].Left != 0 || left[0].Next.Before(time.Now().Add(3*time.Hour)) || left[1].Left != 5 {
		t.Errorf("%+v %v", left, err)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	t.Run("TheAuthorityAsksToBeLeftAlone", func(t *testing.T) {
		t.Parallel()
		r := setup(t, pebbletest.Options{})
		until := time.Now().UTC().Add(3 * time.Hour)
		r.pebble.Refuse(&pebbletest.Refusal{Status: 429, Type: "urn:ietf:params:acme:error:rateLimited",
			Detail: "too many certificates (50) already issued, retry after " + until.Format(time.DateTime) + " UTC: see https://example.com"})
		wantSentence(t, r.ask(t, "i-1."+domain), greenroom.ErrThrottled, until.Format("15:04"))
		orders := r.pebble.Orders()
		r.pebble.Refuse(nil)
		wantSentence(t, r.ask(t, "i-2."+domain), greenroom.ErrThrottled, "left alone until "+until.Format("2006-01-02 15:04"))
		if r.pebble.Orders() != orders {
			t.Error("it was asked again too early")
		}
	})
	t.Run("TheAuthorityForgotTheAccount", func(t *testing.T) {
		t.Parallel()
		r := setup(t, pebbletest.Options{})
		if err := r.ask(t, "i-1."+domain); err != nil {
			t.Fatal(err)
		}
		r.pebble.Forget(t)
		_ = r.ask(t, "i-2."+domain) // this one is lost, with the account
		if err := r.ask(t, "i-2."+domain); err != nil {
			t.Errorf("asked again, with a new account: %v", err)
		}
	})
	t.Run("TheExternalAccountIsWrong", func(t *testing.T) {
		t.Parallel()
		key := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
		accounts := pebbletest.Options{Accounts: map[string]string{"kid-1": key}}
		none := setup(t, accounts)
		wantSentence(t, none.ask(t, "i-1."+domain), greenroom.ErrPermanent, "certificates.eab_key_id")
		wrong := setup(t, accounts, func(o *acmecerts.Options) { o.EABKeyID, o.EABKey = "kid-2", key })
		if err := wrong.ask(t, "i-1."+domain); greenroom.Sentence(err, "") == "" {
			t.Errorf("got %v", err)
		}
		right := setup(t, accounts, func(o *acmecerts.Options) { o.EABKeyID, o.EABKey = "kid-1", key })
		if err := right.ask(t, "i-1."+domain); err != nil {
			t.Error(err)
		}
	})
	t.Run("TheAuthorityDoesNotSignTheName", func(t *testing.T) {
		t.Parallel()
		r := setup(t, pebbletest.Options{Blocked: []string{domain}})
		wantSentence(t, r.ask(t, "i-1."+domain), greenroom.ErrPermanent, "does not sign this name")
	})
	t.Run("TheAuthorityIsAway", func(t *testing.T) {
		t.Parallel()
		r := setup(t, pebbletest.Options{})
		r.pebble.Stop()
		wantSentence(t, r.ask(t, "i-1."+domain), greenroom.ErrUnavailable, "cannot be reached")
	})
	t.Run("WhoAsksLaterLearnsOfItToo", func(t *testing.T) {
		t.Parallel()
		r := setup(t, pebbletest.Options{Blocked: []string{domain}})
		host := "i-1." + domain
		request := certstest.Request(t, certstest.ECKey(t), host)
		if _, err := r.Issue(t.Context(), request, host, time.Now().Add(time.Hour)); err != nil && !errors.Is(err, certs.ErrPending) {
			t.Logf("it failed at once: %v", err)
		}
		eventually(t, "the failure", func() bool { return strings.Contains(r.log.String(), "certificate order failed") })
		orders := r.pebble.Orders()
		_, err := r.Issue(t.Context(), request, host, time.Now().Add(time.Hour))
		wantSentence(t, err, greenroom.ErrPermanent, "does not sign this name")
		if r.pebble.Orders() != orders {
			t.Error("another order followed at once")
		}
	})
	t.Run("TheZoneTakesNoRecords", func(t *testing.T) {
		t.Parallel()
		r := setup(t, pebbletest.Options{})
		r.zone.breakDown()
		wantSentence(t, r.ask(t, "i-1."+domain), nil, "could not be written into the zone")
	})
	t.Run("TheAuthoritySeesAnotherZone", func(t *testing.T) {
		t.Parallel()
		r := setup(t, pebbletest.Options{}, func(o *acmecerts.Options) {
			o.Limits = &acmecerts.Limits{Failures: acmecerts.Limit{Count: 1, Every: time.Hour, Words: "1 failed validation"}}
			elsewhere := newZone(t, domain)
			o.DNS, o.Resolvers = elsewhere, []string{elsewhere.address}
		})
		wantSentence(t, r.ask(t, "i-1."+domain), nil, "did not find our challenge")
		wantSentence(t, r.ask(t, "i-1."+domain), greenroom.ErrThrottled, "1 failed validation")
	})
	t.Run("ClosingEndsOrdersUnderWay", func(t *testing.T) {
		t.Parallel()
		r := setup(t, pebbletest.Options{})
		host := "i-1." + domain
		request := certstest.Request(t, certstest.ECKey(t), host)
		if _, err := r.Issue(t.Context(), request, host, time.Now().Add(time.Hour)); !errors.Is(err, certs.ErrPending) {
			t.Fatalf("got %v", err)
		}
		r.Close()
		if _, err := r.Issue(t.Context(), request, host, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// TestEdge gets a wildcard that lives a minute and sees it renewed while a session goes on: early, so that a busy machine is in
// time, too.
func TestEdge(t *testing.T) {
	t.Parallel()
	r := setup(t, pebbletest.Options{Life: time.Minute}, func(o *acmecerts.Options) { o.RenewLeft = 0.95 })
	if err := r.ManageEdge("*." + domain); err != nil {
		t.Fatal(err)
	}
	address := echo(t, r)
	var session *tls.Conn
	eventually(t, "the first certificate", func() bool {
		conn, err := dial(address, r)
		session = conn
		return err == nil
	})
	defer session.Close()
	first := session.ConnectionState().PeerCertificates[0]
	if len(first.DNSNames) != 1 || first.DNSNames[0] != "*."+domain {
		t.Errorf("it is good for %v", first.DNSNames)
	}
	says(t, session, "before")
	eventually(t, "another certificate", func() bool {
		conn, err := dial(address, r)
		if err != nil {
			t.Fatalf("while it was renewed: %v", err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Cmp(first.SerialNumber) != 0
	})
	says(t, session, "after")

	err := filepath.WalkDir(r.options.Dir, func(path string, d fs.DirEntry, err error) error {
		if info, bad := os.Stat(path); bad == nil && !d.IsDir() && strings.HasSuffix(path, ".key") && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others can read %s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestEdgeWithoutAuthority: the certificate of an earlier run serves at once.
func TestEdgeWithoutAuthority(t *testing.T) {
	t.Parallel()
	r := setup(t, pebbletest.Options{})
	if err := r.ManageEdge("*." + domain); err != nil {
		t.Fatal(err)
	}
	address := echo(t, r)
	reached := func(address string, e certs.Edge) func() bool {
		return func() bool {
			conn, err := dial(address, e)
			return err == nil && conn.Close() == nil
		}
	}
	before, err := acmecerts.Ask(t.Context(), r.options)
	if err != nil || len(before.CAA) == 0 || time.Since(before.Date).Abs() > time.Minute || before.NeedsEAB {
		t.Errorf("the directory says %+v, %v", before, err)
	}
	eventually(t, "the first certificate", reached(address, r))
	if d, err := acmecerts.Ask(t.Context(), r.options); err != nil || !d.Registered {
		t.Errorf("no account is registered: %+v, %v", d, err)
	}
	if leaf, err := acmecerts.EdgeLeaf(r.options, "*."+domain); err != nil || leaf.DNSNames[0] != "*."+domain {
		t.Errorf("what is kept: %v, %v", leaf, err)
	}
	if _, err := acmecerts.EdgeLeaf(r.options, "*.other.example"); !errors.Is(err, greenroom.ErrNotFound) {
		t.Errorf("what is not kept: %v", err)
	}
	r.Close()
	r.pebble.Stop()
	again := acmecerts.Open(r.options)
	t.Cleanup(again.Close)
	if err := again.ManageEdge("*." + domain); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stored certificate", reached(echo(t, again), again))
}

// echo serves lines back under e's certificate.
func echo(t *testing.T, e certs.Edge) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: e.GetCertificate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for in := bufio.NewScanner(conn); in.Scan(); {
					fmt.Fprintln(conn, in.Text())
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// dial connects as a browser does that trusts the authority.
func dial(address string, e certs.Edge) (*tls.Conn, error) {
	return tls.Dial("tcp", address, &tls.Config{RootCAs: e.Roots(), ServerName: "i-7." + domain})
}

func says(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	fmt.Fprintln(conn, line)
	if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("the session answers %q, %v", got, err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
