package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"greenroom"
)

func TestCertificates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	lives := func(from, until time.Duration) func() (*x509.Certificate, error) {
		return func() (*x509.Certificate, error) {
			return &x509.Certificate{DNSNames: []string{"*.desk.example.com"}, NotBefore: now.Add(from), NotAfter: now.Add(until)}, nil
		}
	}
	says := func(a Authority, err error) func(context.Context) (Authority, error) {
		return func(context.Context) (Authority, error) { return a, err }
	}
	records := func(set CAA, err error) func(context.Context, string) (CAA, error) {
		return func(context.Context, string) (CAA, error) { return set, err }
	}
	left := func(n int) func() ([]Allowance, error) {
		return func() ([]Allowance, error) {
			return []Allowance{{Words: "50 certificates a week", Left: n, Of: 50, Next: now}}, nil
		}
	}
	amazon := func(until ...time.Duration) func() ([]*x509.Certificate, error) {
		return func() (out []*x509.Certificate, err error) {
			for _, d := range until {
				out = append(out, &x509.Certificate{NotAfter: now.Add(d)})
			}
			return out, nil
		}
	}
	ours := Authority{CAA: []string{"ca.example"}, Date: now, Registered: true}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		look          Certificates
		check, detail string
		ok, note      bool
	}{
		"AWS's":            {Certificates{Identity: amazon(900*day, 400*day)}, "AWS's certificates of identity documents", "2 in the file; the first ends on " + now.Add(400*day).UTC().Format(time.DateOnly), true, false},
		"AWS's, soon over": {Certificates{Identity: amazon(900*day, 40*day)}, "AWS's certificates of identity documents", "1 end soon", false, true},
		"AWS's, one over":  {Certificates{Identity: amazon(900*day, -day)}, "AWS's certificates of identity documents", "1 have expired", false, true},
		"AWS's, over":      {Certificates{Identity: amazon(-day)}, "AWS's certificates of identity documents", "no desktop on EC2 can enrol", false, false},
		"AWS's, none": {Certificates{Identity: func() ([]*x509.Certificate, error) { return nil, &greenroom.UserError{Message: "no file"} }},
			"AWS's certificates of identity documents", "no file", false, false},
		"fresh":             {Certificates{Edge: lives(-day, 89*day)}, "certificate of the edge", "*.desk.example.com", true, false},
		"late":              {Certificates{Edge: lives(-80*day, 10*day)}, "certificate of the edge", "until", false, true},
		"over":              {Certificates{Edge: lives(-90*day, -day)}, "certificate of the edge", "expired", false, false},
		"none yet":          {Certificates{Edge: func() (*x509.Certificate, error) { return nil, greenroom.ErrNotFound }}, "certificate of the edge", "none yet", false, true},
		"away":              {Certificates{Authority: says(Authority{}, errors.New("no route"))}, "certificate authority", "no route", false, false},
		"answers":           {Certificates{Authority: says(ours, nil), CAA: records(CAA{}, nil)}, "certificate authority", "registered", true, false},
		"wants an account":  {Certificates{Authority: says(Authority{NeedsEAB: true}, nil), CAA: records(CAA{}, nil)}, "certificate authority", "external account", false, false},
		"no CAA":            {Certificates{Authority: says(ours, nil), CAA: records(CAA{}, nil)}, "CAA records", "every authority", true, false},
		"CAA for us":        {Certificates{Authority: says(ours, nil), CAA: records(CAA{At: "example.com", Issue: []string{"ca.example"}}, nil)}, "CAA records", "allows ca.example", true, false},
		"CAA for others":    {Certificates{Authority: says(ours, nil), CAA: records(CAA{At: "example.com", Issue: []string{"other.example"}}, nil)}, "CAA records", "and not ca.example", false, false},
		"CAA, no wildcards": {Certificates{Authority: says(ours, nil), CAA: records(CAA{At: "example.com", Issue: []string{"ca.example"}, IssueWild: []string{";"}}, nil)}, "CAA records", "not ca.example", false, false},
		"CAA unknown":       {Certificates{Authority: says(ours, nil), CAA: records(CAA{}, errors.New("no answer"))}, "CAA records", "no answer", false, true},
		"clocks apart":      {Certificates{Authority: says(Authority{Date: now.Add(-time.Hour)}, nil), CAA: records(CAA{}, nil)}, "clock and the certificate authority's", "1h0m", false, false},
		"plenty":            {Certificates{Left: left(40)}, "limit of the certificate authority", "40 of", true, false},
		"few":               {Certificates{Left: left(9)}, "limit of the certificate authority", "9 of", false, true},
		"used up":           {Certificates{Left: left(0)}, "limit of the certificate authority", "used up", false, false},
		"good token":        {Certificates{Token: func(context.Context) error { return nil }}, "token for origin certificates", "accepts", true, false},
		"bad token":         {Certificates{Token: func(context.Context) error { return &greenroom.UserError{Message: "no right"} }}, "token for origin certificates", "no right", false, false},
	} {
		found := false
		for _, f := range c.look.check(t.Context()) {
			if f.Check != c.check {
				continue
			}
			found = true
			if f.OK != c.ok || f.Note != c.note || !strings.Contains(f.Detail, c.detail) || !f.OK && f.Fix == "" {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if !found {
			t.Errorf("%s: nothing was found about %s", name, c.check)
		}
	}
}
