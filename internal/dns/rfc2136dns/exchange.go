package rfc2136dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
)

// udpTries is how often a message is sent that may have been lost. An update that is sent twice is one: what the second
// finds is what the first has made, and its refusal leads to a look at each name.
const udpTries = 2

func (z *Zone) algorithm() string { return miekg.Fqdn(z.o.Algorithm) }

// sign has m signed when it is sent, and returns the secrets that sign it.
func (z *Zone) sign(ctx context.Context, m *miekg.Msg) (map[string]string, error) {
	secret, err := z.o.Secret(ctx)
	if err != nil {
		return nil, err
	}
	if m != nil {
		m.Extra = nil
		m.SetTsig(z.key, z.algorithm(), fudge, time.Now().Unix())
	}
	return map[string]string{z.key: strings.TrimSpace(secret)}, nil
}

// exchange sends m, signed, over UDP if it is small and over TCP if it is not or if the answer is cut.
func (z *Zone) exchange(ctx context.Context, m *miekg.Msg) (*miekg.Msg, error) {
	network, tries := "udp", udpTries
	if m.Len() > maxUDP-200 { // a signature takes less than 200 bytes
		network, tries = "tcp", 1
	}
	var failed error
	for ; tries > 0; tries-- {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		secrets, err := z.sign(ctx, m)
		if err != nil {
			return nil, err
		}
		client := miekg.Client{Net: network, TsigSecret: secrets, Timeout: ioTimeout, UDPSize: maxUDP}
		answer, _, err := client.ExchangeContext(ctx, m, z.o.Server)
		if err == nil && answer.Truncated && network == "udp" {
			network, tries = "tcp", 2
			continue
		}
		if answer != nil && (answer.Rcode == miekg.RcodeNotAuth || answer.Rcode == miekg.RcodeRefused) {
			return answer, nil // the server did not accept our signature or looked at none, so its answer has none that holds
		}
		if err == nil && answer.IsTsig() == nil {
			err = errors.New("the answer is not signed")
		}
		if err == nil {
			return answer, nil
		}
		failed = err
		if errors.Is(err, miekg.ErrSecret) || strings.Contains(err.Error(), "illegal base64") {
			return nil, &greenroom.UserError{Message: "dns.tsig_secret is not a key in base64.", Cause: fmt.Errorf("%w: %w", greenroom.ErrForbidden, err)}
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, fmt.Errorf("ask %s: %w", z.o.Server, failed)
}
