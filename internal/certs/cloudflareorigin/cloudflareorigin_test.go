package cloudflareorigin_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/certs/certstest"
	"greenroom/internal/certs/cloudflareorigin"
	"greenroom/internal/testenv/cloudflareorigintest"
)

const (
	apex  = "example.com"
	token = "a-token-of-this-test"
)

func options(s *cloudflareorigintest.Server) cloudflareorigin.Options {
	return cloudflareorigin.Options{Zone: apex, Proxied: true, BaseURL: s.URL, Roots: s.Roots, Logger: slog.New(slog.DiscardHandler),
		Token: func(context.Context) (string, error) { return token, nil }}
}

func open(t *testing.T, o cloudflareorigin.Options) *cloudflareorigin.Authority {
	t.Helper()
	a, err := cloudflareorigin.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ask(t *testing.T, a *cloudflareorigin.Authority, host string) error {
	t.Helper()
	_, err := a.Issue(t.Context(), certstest.Request(t, certstest.ECKey(t), host), host, time.Now().Add(time.Hour))
	return err
}

func wantSentence(t *testing.T, err, kind error, says string) {
	t.Helper()
	if got := greenroom.Sentence(err, ""); !strings.Contains(got, says) || !errors.Is(err, kind) {
		t.Errorf("got %q (%v), want %v and %q", got, err, kind, says)
	}
	if err != nil && strings.Contains(err.Error(), token) {
		t.Errorf("the token is in %v", err)
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	certstest.Run(t, certstest.Kind{Zone: apex, Named: true, FixedLife: 8 * 24 * time.Hour}, func(t *testing.T) certs.Issuer {
		return open(t, options(cloudflareorigintest.Start(t, apex, token)))
	})
}

func TestOfNoUseIsRefused(t *testing.T) {
	t.Parallel()
	s := cloudflareorigintest.Start(t, apex, token)
	o := options(s)
	o.Proxied = false
	_, err := cloudflareorigin.Open(o)
	wantSentence(t, err, greenroom.ErrPermanent, "needs proxied records")
	o = options(s)
	o.Zone = "desk.example.com"
	_, err = cloudflareorigin.Open(o)
	wantSentence(t, err, greenroom.ErrPermanent, "advanced certificate for *.desk.example.com")
	o.Advanced = true
	if err := ask(t, open(t, o), "i-1.desk.example.com"); err != nil {
		t.Errorf("with an advanced certificate: %v", err)
	}
	calls := s.Calls()
	wantSentence(t, ask(t, open(t, options(s)), "i-1.desk.example.com"), greenroom.ErrForbidden, "deeper")
	if s.Calls() != calls {
		t.Error("it was asked all the same")
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	t.Run("WrongToken", func(t *testing.T) {
		t.Parallel()
		s := cloudflareorigintest.Start(t, apex, "another")
		o := options(s)
		var told atomic.Int32
		o.Refused = func() { told.Add(1) }
		a := open(t, o)
		wantSentence(t, ask(t, a, "i-1."+apex), greenroom.ErrPermanent, "SSL and Certificates, Edit")
		if told.Load() != 1 {
			t.Error("the secret's owner was not told")
		}
		s.SetToken(token) // as after a rotation
		if err := ask(t, a, "i-1."+apex); err != nil {
			t.Errorf("after the token was mended: %v", err)
		}
	})
	t.Run("ThrottledIsLeftAlone", func(t *testing.T) {
		t.Parallel()
		s := cloudflareorigintest.Start(t, apex, token)
		a := open(t, options(s))
		s.Throttle(120)
		wantSentence(t, ask(t, a, "i-1."+apex), greenroom.ErrThrottled, "asks again after")
		s.Throttle(0)
		wantSentence(t, ask(t, a, "i-1."+apex), greenroom.ErrThrottled, "left alone until")
		if s.Calls() != 1 {
			t.Errorf("%d calls", s.Calls())
		}
	})
	t.Run("AnotherAccountsZone", func(t *testing.T) {
		t.Parallel()
		a := open(t, options(cloudflareorigintest.Start(t, "other.example", token)))
		wantSentence(t, ask(t, a, "i-1."+apex), greenroom.ErrPermanent, "not part of your account")
	})
	t.Run("Unreachable", func(t *testing.T) {
		t.Parallel()
		o := options(cloudflareorigintest.Start(t, apex, token))
		o.BaseURL = "http://127.0.0.1:1/"
		wantSentence(t, ask(t, open(t, o), "i-1."+apex), greenroom.ErrUnavailable, "cannot be reached")
	})
	t.Run("NoToken", func(t *testing.T) {
		t.Parallel()
		s := cloudflareorigintest.Start(t, apex, token)
		o, gone := options(s), errors.New("the secret is gone")
		o.Token = func(context.Context) (string, error) { return "", gone }
		if err := ask(t, open(t, o), "i-1."+apex); !errors.Is(err, gone) || errors.Is(err, greenroom.ErrUnavailable) || s.Calls() > 0 {
			t.Errorf("%v after %d calls", err, s.Calls())
		}
	})
	t.Run("TokenRights", func(t *testing.T) {
		t.Parallel()
		s := cloudflareorigintest.Start(t, apex, token)
		a := open(t, options(s))
		if err := a.CheckToken(t.Context()); err != nil {
			t.Error(err)
		}
		o := options(s)
		o.Zone = "other.example"
		wantSentence(t, open(t, o).CheckToken(t.Context()), greenroom.ErrNotFound, "shows it no zone other.example")
		s.SetToken("another")
		wantSentence(t, a.CheckToken(t.Context()), greenroom.ErrPermanent, "SSL and Certificates, Edit")
	})
}

func TestTokenIsCheckedForTheZoneThatIsServed(t *testing.T) {
	t.Parallel()
	moved, twin := cloudflareorigintest.Zone{ID: "0123456789abcdef0123456789abcdef", Status: "moved"}, cloudflareorigintest.Zone{ID: "fedcba9876543210fedcba9876543210", Status: "active"}
	for name, test := range map[string]struct {
		others []cloudflareorigintest.Zone
		status string
		named  bool // by dns.zone_id
		kind   error
		says   string
	}{
		"moved away in another account":   {[]cloudflareorigintest.Zone{moved}, "active", false, nil, ""},
		"two are active":                  {[]cloudflareorigintest.Zone{twin}, "active", false, greenroom.ErrPermanent, "set dns.zone_id"},
		"two are active and one is named": {[]cloudflareorigintest.Zone{twin}, "active", true, nil, ""},
		"pending":                         {nil, "pending", false, greenroom.ErrNotFound, "is pending, not active"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cloudflareorigintest.Start(t, apex, token)
			s.Others, s.Status = test.others, test.status
			o := options(s)
			if test.named {
				o.ZoneID = s.ZoneID
			}
			err := open(t, o).CheckToken(t.Context())
			if test.kind == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantSentence(t, err, test.kind, test.says)
		})
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	s := cloudflareorigintest.Start(t, apex, token)
	o := options(s)
	o.Journal = filepath.Join(t.TempDir(), "origin")
	a := open(t, o)
	for range 2 { // the second is a renewal
		if err := ask(t, a, "i-1."+apex); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(t, a, "i-2."+apex); err != nil {
		t.Fatal(err)
	}
	s.SetToken("another")
	if err := a.Revoke(t.Context(), "i-1."+apex); err == nil || s.Live() != 3 {
		t.Errorf("revoked with a wrong token: %v", err)
	}
	s.SetToken(token)
	again := open(t, o) // as after a restart
	for range 2 {
		if err := again.Revoke(t.Context(), "i-1."+apex); err != nil {
			t.Error(err)
		}
	}
	if s.Live() != 1 || s.Revoked() != 2 {
		t.Errorf("%d live, %d revoked", s.Live(), s.Revoked())
	}
	if left, err := again.Pending(time.Now().Add(time.Hour), 15*time.Minute); err != nil || len(left) != 1 || left[0] != "i-2."+apex {
		t.Errorf("the journal holds %v, %v", left, err)
	}
	if early, err := again.Pending(time.Now(), 15*time.Minute); err != nil || len(early) != 0 {
		t.Errorf("too early: %v, %v", early, err)
	}
	for _, name := range []string{"i-9." + apex, "../" + apex, ""} {
		if err := again.Revoke(t.Context(), name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
