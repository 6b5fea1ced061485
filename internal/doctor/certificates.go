package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"greenroom"
)

// Certificates say what to look at where others than the local authority issue them. What is nil is not asked.
type Certificates struct {
	Zone      string
	Edge      func() (*x509.Certificate, error)                           // what the edge would show; greenroom.ErrNotFound: nothing yet
	Authority func(ctx context.Context) (Authority, error)                // the ACME authority's own words
	CAA       func(ctx context.Context, name string) (CAA, error)         // of name or of what is nearest above it
	Left      func() ([]Allowance, error)                                 // of the authority's limits
	Token     func(ctx context.Context) error                             // whether Cloudflare accepts the token; a UserError says why not
	Secrets   func(ctx context.Context) (read []string, faults []Finding) // the keys whose secrets could be read, and the others
	Identity  func() ([]*x509.Certificate, error)                         // AWS's, with which it signs who a machine is
}

// Authority is what an ACME authority says of itself.
type Authority struct {
	CAA        []string  // names it looks for in CAA records
	Date       time.Time // its clock, in whole seconds; zero if unknown
	NeedsEAB   bool      // and has no external account from us
	Registered bool
}

// CAA is a set of CAA records.
type CAA struct {
	At        string   // the name that has them; empty: there are none
	Issue     []string // who may issue
	IssueWild []string // who may issue wildcards; nil: the same
}

// Allowance is how much of a limit is left.
type Allowance struct {
	Words    string
	Left, Of int
	Next     time.Time // when one more may be had
}

// check looks at everything that there is a function for.
func (c Certificates) check(ctx context.Context) []Finding {
	var out []Finding
	if c.Secrets != nil {
		out = append(out, c.secrets(ctx)...)
	}
	if c.Identity != nil {
		out = append(out, c.identity(time.Now()))
	}
	if c.Edge != nil {
		out = append(out, c.edge(time.Now()))
	}
	if c.Authority != nil {
		out = append(out, c.authority(ctx)...)
	}
	if c.Left != nil {
		out = append(out, c.left()...)
	}
	if c.Token != nil {
		out = append(out, c.token(ctx))
	}
	return out
}

func (c Certificates) secrets(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 2*lookTimeout)
	defer cancel()
	read, faults := c.Secrets(ctx)
	if len(read) > 0 {
		faults = append(faults, Finding{Check: "secrets", OK: true, Detail: "read: " + strings.Join(read, ", ")})
	}
	return faults
}

// soon is the part of a certificate's life in which it should have been renewed already.
const soon = 4

func (c Certificates) edge(now time.Time) Finding {
	f := Finding{Check: "certificate of the edge"}
	leaf, err := c.Edge()
	switch {
	case errors.Is(err, greenroom.ErrNotFound):
		f.Note, f.Detail, f.Fix = true, "there is none yet", "start the server, which gets one; its log says if that fails"
		return f
	case err != nil:
		f.Detail, f.Fix = greenroom.Sentence(err, err.Error()), "fix the files that certificates.chain_file and certificates.key_file name"
		return f
	}
	left, life := leaf.NotAfter.Sub(now), leaf.NotAfter.Sub(leaf.NotBefore)
	f.Detail = fmt.Sprintf("for %s, until %s", strings.Join(leaf.DNSNames, ", "), leaf.NotAfter.UTC().Format(time.RFC3339))
	switch {
	case now.Before(leaf.NotBefore):
		f.Detail, f.Fix = f.Detail+", valid only from "+leaf.NotBefore.UTC().Format(time.RFC3339), "see that the clock is right"
	case left <= 0:
		f.Detail, f.Fix = f.Detail+", expired", "renew it: with issuer files put the new one into the same files, with acme look into the server's log"
	case left < life/soon:
		f.Note, f.Fix = true, "it should have been renewed already: with issuer files renew it now, with acme look into the server's log"
	default:
		f.OK = true
	}
	return f
}

func (c Certificates) authority(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 2*lookTimeout)
	defer cancel()
	f := Finding{Check: "certificate authority"}
	a, err := c.Authority(ctx)
	if err != nil {
		f.Detail, f.Fix = "cannot be reached: "+err.Error(), "look at certificates.directory_url and at this machine's outbound network"
		return []Finding{f}
	}
	f.OK, f.Detail = true, "answers; an account is registered"
	switch {
	case a.NeedsEAB:
		f.OK, f.Detail, f.Fix = false, "wants an external account", "set certificates.eab_key_id and certificates.eab_key"
	case !a.Registered:
		f.Detail = "answers; an account will be registered with the first order"
	}
	out := []Finding{f, c.caa(ctx, a)}
	if skew := time.Since(a.Date); !a.Date.IsZero() && skew.Abs() > maxAuthoritySkew {
		out = append(out, Finding{Check: "clock and the certificate authority's", Detail: fmt.Sprintf("%s apart", skew.Round(time.Second).Abs()), Fix: "set the clock, for instance with: sudo timedatectl set-ntp true"})
	}
	return out
}

// maxAuthoritySkew is how far the clocks may be apart before fresh certificates are not valid yet.
const maxAuthoritySkew = time.Minute

func (c Certificates) caa(ctx context.Context, a Authority) Finding {
	f := Finding{Check: "CAA records"}
	set, err := c.CAA(ctx, c.Zone)
	if err != nil {
		f.Note, f.Detail, f.Fix = true, "could not be asked for: "+err.Error(), "the authority asks for them too: look whether the zone's servers answer"
		return f
	}
	if set.At == "" || len(a.CAA) == 0 {
		f.OK, f.Detail = true, "none, so every authority may issue"
		return f
	}
	allowed := func(list []string) bool {
		return slices.ContainsFunc(list, func(v string) bool { return slices.Contains(a.CAA, v) })
	}
	wild := set.IssueWild
	if wild == nil {
		wild = set.Issue
	}
	f.OK, f.Detail = allowed(set.Issue) && allowed(wild), set.At+" allows "+strings.Join(set.Issue, ", ")
	if !f.OK {
		f.Detail = fmt.Sprintf("%s allows %s, and not %s", set.At, strings.Join(append(slices.Clone(set.Issue), set.IssueWild...), ", "), strings.Join(a.CAA, " or "))
		f.Fix = fmt.Sprintf("add the record: %s. CAA 0 issue \"%s\" (and issuewild, if there is one)", set.At, a.CAA[0])
	}
	return f
}

// few is the part of a limit that should make one think.
const few = 5

func (c Certificates) left() []Finding {
	list, err := c.Left()
	if err != nil {
		return []Finding{{Check: "limits of the certificate authority", Note: true, Detail: greenroom.Sentence(err, err.Error()), Fix: "look at the data directory"}}
	}
	var out []Finding
	for _, a := range list {
		f := Finding{Check: "limit of the certificate authority", OK: true, Detail: fmt.Sprintf("%d of %s left", a.Left, a.Words)}
		const fix = "use access gateway, which needs one certificate for all desktops, or the issuer local or cloudflare-origin"
		switch {
		case a.Left == 0:
			f.OK, f.Detail, f.Fix = false, fmt.Sprintf("used up: %s; the next at %s", a.Words, a.Next.UTC().Format(time.RFC3339)), "wait until then, or "+fix
		case a.Left*few < a.Of:
			f.OK, f.Note, f.Fix = false, true, fix
		}
		out = append(out, f)
	}
	return out
}

func (c Certificates) token(ctx context.Context) Finding {
	ctx, cancel := context.WithTimeout(ctx, 2*lookTimeout)
	defer cancel()
	f := Finding{Check: "token for origin certificates"}
	if err := c.Token(ctx); err != nil {
		f.Detail, f.Fix = greenroom.Sentence(err, err.Error()), "make a token with the right Zone, SSL and Certificates, Edit, and set certificates.token"
		return f
	}
	f.OK, f.Detail = true, "Cloudflare accepts it"
	return f
}
