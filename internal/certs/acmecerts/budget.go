package acmecerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/net/publicsuffix"

	"greenroom"
)

// Limit is one rate limit of an authority: so many at once, and one more after each Every.
type Limit struct {
	Count int
	Every time.Duration
	Words string // "50 certificates a week for each registered domain"
}

// Limits are what an authority documents. A zero Limit means no limit.
type Limits struct {
	Certificates Limit // per registered domain
	Orders       Limit // per account
	SameName     Limit // certificates for the very same name
	Failures     Limit // failed validations of a name
}

// letsEncrypt are the limits of Let's Encrypt's production directory.
var letsEncrypt = Limits{
	Certificates: Limit{50, 202 * time.Minute, "50 certificates a week for each registered domain"},
	Orders:       Limit{300, 36 * time.Second, "300 orders in 3 hours for each account"},
	SameName:     Limit{5, 34 * time.Hour, "5 certificates a week for the same name"},
	Failures:     Limit{5, 12 * time.Minute, "5 failed validations an hour for each name"},
}

// limitsOf are those of a directory's authority; only Let's Encrypt's are known.
func limitsOf(directory string) Limits {
	if strings.HasPrefix(directory, "https://acme-v02.api.letsencrypt.org/") {
		return letsEncrypt
	}
	return Limits{}
}

// Allowance is how much of a limit is left.
type Allowance struct {
	Words string    // what is limited
	Left  int       // that may be had now
	Of    int       // the most there can be
	Next  time.Time // when one more may be had, if none is left
}

// budget counts what was asked of the authority where its account is kept, since restarts do not reset the authority's
// own count, and all who share the account share it.
type budget struct {
	kept   certmagic.Storage
	limits Limits
	alone  sync.Mutex // in this process: who waits for a storage's lock looks again only after a second
}

const (
	countKey  = "budget.json" // what is counted
	countTime = 30 * time.Second
)

// spent is the file: for each thing that is limited, when all of it will have come back. The authority has as
// much back by any earlier moment as the time until then says.
type spent map[string]time.Time

func (l Limit) left(back, now time.Time) int {
	if !back.After(now) {
		return l.Count
	}
	used := int((back.Sub(now) + l.Every - 1) / l.Every)
	return max(l.Count-used, 0)
}

// next is when one may be had.
func (l Limit) next(back time.Time) time.Time { return back.Add(-time.Duration(l.Count-1) * l.Every) }

func (s spent) take(key string, l Limit, now time.Time) {
	if back := s[key]; back.After(now) {
		now = back
	}
	s[key] = now.Add(l.Every)
}

// charge is one thing that an order costs.
type charge struct {
	key   string
	limit Limit
}

// charges are what an order for name costs. The last only counts when it fails.
func (b *budget) charges(name string) []charge {
	domain, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimPrefix(name, "*."))
	if err != nil {
		domain = name
	}
	all := []charge{
		{"certificates " + domain, b.limits.Certificates}, {"orders", b.limits.Orders},
		{"name " + name, b.limits.SameName}, {"failures " + name, b.limits.Failures},
	}
	out := all[:0]
	for _, c := range all {
		if c.limit.Count > 0 {
			out = append(out, c)
		}
	}
	return out
}

// reserve takes what an order for name costs, or refuses when the authority would refuse it, with a
// greenroom.UserError that wraps greenroom.ErrThrottled.
func (b *budget) reserve(name string, now time.Time) error {
	return b.change(func(s spent) error {
		if until := s["held"]; until.After(now) {
			return throttled(fmt.Sprintf("The certificate authority asked to be left alone until %s, so no certificate for %s was ordered.", clock(until), name), nil)
		}
		for _, c := range b.charges(name) {
			if c.limit.left(s[c.key], now) == 0 {
				return throttled(fmt.Sprintf("No certificate for %s was ordered: the authority allows %s, and these are used up until %s. "+
					"For more desktops use access gateway, which needs one certificate for all of them, or the issuer local or cloudflare-origin.", name, c.limit.Words, clock(c.limit.next(s[c.key]))), nil)
			}
		}
		for _, c := range b.charges(name) {
			if !strings.HasPrefix(c.key, "failures ") {
				s.take(c.key, c.limit, now)
			}
		}
		return nil
	})
}

// failed gives back what an order that brought nothing did not cost, and counts the failure.
func (b *budget) failed(name string, validation bool, now time.Time) error {
	return b.change(func(s spent) error {
		for _, c := range b.charges(name) {
			switch kind, _, _ := strings.Cut(c.key, " "); {
			case kind == "failures" && validation:
				s.take(c.key, c.limit, now)
			case kind == "certificates" || kind == "name":
				s[c.key] = s[c.key].Add(-c.limit.Every)
			}
		}
		return nil
	})
}

// hold keeps every order back until then.
func (b *budget) hold(until time.Time) error {
	return b.change(func(s spent) error { s["held"] = until; return nil })
}

// allowances tells what is left for name.
func (b *budget) allowances(name string, now time.Time) ([]Allowance, error) {
	var out []Allowance
	err := b.change(func(s spent) error {
		for _, c := range b.charges(name) {
			out = append(out, Allowance{Words: c.limit.Words, Left: c.limit.left(s[c.key], now), Of: c.limit.Count, Next: c.limit.next(s[c.key])})
		}
		if until := s["held"]; until.After(now) {
			out = append(out, Allowance{Words: "nothing for now, as it asked itself", Of: 1, Next: until})
		}
		return nil
	})
	return out, err
}

// change reads the count, changes it and writes it, alone of all processes.
func (b *budget) change(f func(spent) error) (err error) {
	b.alone.Lock()
	defer b.alone.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), countTime) // an order that was given up must be counted, too
	defer cancel()
	if err := b.kept.Lock(ctx, countKey); err != nil {
		return fmt.Errorf("lock the count of certificates: %w", err)
	}
	defer func() { err = errors.Join(err, b.kept.Unlock(ctx, countKey)) }()
	s := spent{}
	text, err := b.kept.Load(ctx, countKey)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &greenroom.UserError{Message: fmt.Sprintf("%s in %v cannot be read, so how many certificates may be ordered is not known: correct it, or remove it if none were ordered this week.", countKey, b.kept), Cause: err}
	}
	if err := f(s); err != nil {
		return err
	}
	for key, back := range s {
		if !back.After(time.Now()) {
			delete(s, key)
		}
	}
	if text, err = json.MarshalIndent(s, "", " "); err == nil {
		err = b.kept.Store(ctx, countKey, text)
	}
	if err != nil {
		return fmt.Errorf("write the count of certificates: %w", err)
	}
	return nil
}

func throttled(message string, cause error) error {
	return &greenroom.UserError{Message: message, Cause: errors.Join(greenroom.ErrThrottled, cause)}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
