package rfc2136dns

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
)

// refusal is what a server's refusal means.
func (z *Zone) refusal(answer *miekg.Msg) error {
	said := fmt.Errorf("%s answers %s", z.o.Server, miekg.RcodeToString[answer.Rcode])
	switch answer.Rcode {
	case miekg.RcodeNotAuth, miekg.RcodeNotZone:
		return z.notAuth(answer.IsTsig(), said)
	case miekg.RcodeRefused:
		return z.forbidden(said, "The name server %s (dns.server) refuses: it has to keep the zone %s, and to allow the key %s to update and to transfer it.", z.o.Server, z.apex, z.key)
	case miekg.RcodeFormatError, miekg.RcodeNotImplemented:
		return fmt.Errorf("%w: %w", greenroom.ErrPermanent, said)
	}
	return said
}

// notAuth tells apart what RFC 8945 lets a server say of a signature.
func (z *Zone) notAuth(signature *miekg.TSIG, said error) error {
	code := uint16(0)
	if signature != nil {
		code = signature.Error
	}
	if code != 0 && code != miekg.RcodeBadTime && z.o.Refused != nil {
		z.o.Refused()
	}
	switch code {
	case miekg.RcodeBadKey:
		return z.forbidden(said, "The name server %s does not know the key %s (dns.tsig_name) with the algorithm %s (dns.tsig_algorithm).", z.o.Server, z.key, z.o.Algorithm)
	case miekg.RcodeBadSig:
		return z.forbidden(said, "The name server %s knows the key %s with another secret: correct dns.tsig_secret.", z.o.Server, z.key)
	case miekg.RcodeBadTime:
		if there := timeOf(signature); !there.IsZero() {
			return z.forbidden(said, "The clocks are too far apart: the name server %s says that it is %s, which is %s off; set both, for instance with timedatectl set-ntp true.",
				z.o.Server, there.UTC().Format(time.RFC3339), time.Since(there).Abs().Round(time.Second))
		}
		return z.forbidden(said, "The clocks of the name server %s and of this machine are too far apart: set both, for instance with timedatectl set-ntp true.", z.o.Server)
	}
	return z.forbidden(said, "The name server %s (dns.server) does not keep the zone %s, or does not know the key %s (dns.tsig_name, dns.tsig_secret, dns.tsig_algorithm).", z.o.Server, z.apex, z.key)
}

func (z *Zone) forbidden(said error, format string, args ...any) error {
	return &greenroom.UserError{Message: fmt.Sprintf(format, args...), Cause: fmt.Errorf("%w: %w", greenroom.ErrForbidden, said)}
}

// timeOf is the server's clock in a refusal for the time: 48 bits of seconds. Zero if it is not there.
func timeOf(signature *miekg.TSIG) time.Time {
	raw, err := hex.DecodeString(signature.OtherData)
	if err != nil || len(raw) != 6 {
		return time.Time{}
	}
	seconds := int64(0)
	for _, b := range raw {
		seconds = seconds<<8 | int64(b)
	}
	return time.Unix(seconds, 0)
}

// whyNoTransfer asks for something smaller, since a transfer that fails does not say what is wrong with the key.
func (z *Zone) whyNoTransfer(ctx context.Context) error {
	if _, err := z.texts(ctx, strings.TrimSuffix(z.apex, ".")); err != nil {
		return err
	}
	return z.refusal(&miekg.Msg{MsgHdr: miekg.MsgHdr{Rcode: miekg.RcodeRefused}})
}

// Inspect asks the server for the zone's own records, and for a transfer; see dns.Facts. Each error is one thing to fix.
func (z *Zone) Inspect(ctx context.Context) (dns.Facts, []error) {
	facts := dns.Facts{Apex: strings.TrimSuffix(z.apex, "."), Calls: "no limit: the name server is yours"}
	q := new(miekg.Msg).SetQuestion(z.apex, miekg.TypeNS)
	answer, err := z.exchange(ctx, q)
	switch {
	case err != nil:
		return facts, []error{err}
	case answer.Rcode != miekg.RcodeSuccess:
		return facts, []error{z.refusal(answer)}
	case !answer.Authoritative || len(answer.Answer) == 0:
		return facts, []error{z.forbidden(nil, "The name server %s (dns.server) does not keep the zone %s: zone must be the apex of a zone there.", z.o.Server, z.apex)}
	}
	for _, rr := range answer.Answer {
		if ns, ok := rr.(*miekg.NS); ok {
			facts.NameServers = append(facts.NameServers, strings.TrimSuffix(miekg.CanonicalName(ns.Ns), "."))
		}
	}
	if signature := answer.IsTsig(); signature != nil {
		facts.Clock, facts.Seen = time.Unix(int64(signature.TimeSigned), 0), time.Now()
	}
	if _, err := z.GetRecords(ctx); err != nil {
		return facts, []error{err}
	}
	return facts, nil
}
