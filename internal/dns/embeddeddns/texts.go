package embeddeddns

import (
	"context"
	"fmt"
	"slices"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
)

// maxTexts bounds a name's texts: more than proofs under way at once for a name and its wildcard.
const maxTexts = 32

// AddText serves a TXT record; see dns.Texts. Its lifetime is that of all records. It is not kept: who proves something begins
// anew after a restart, and nothing is left behind. For the same reason all texts are ours.
func (z *Zone) AddText(ctx context.Context, name, value string, _ time.Duration) error {
	const longest = 255 // bytes of one string
	name = canonical(name)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := miekg.IsDomainName(name); !ok || !dns.Below(z.apex, name) || len(value) > longest {
		return fmt.Errorf("not a text of at most %d bytes and a name below %s: %w", longest, z.apex, greenroom.ErrPermanent)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case slices.Contains(z.texts[name], value):
		return nil
	case len(z.texts[name]) >= maxTexts:
		return fmt.Errorf("%s has %d texts already: %w", name, maxTexts, greenroom.ErrCapacity)
	case len(z.texts[name]) == 0:
		for above := range z.between(name) {
			z.above[above]++
		}
	}
	z.texts[name] = append(z.texts[name], value)
	z.touch()
	return nil
}

// RemoveText serves a TXT record no more; see dns.Texts.
func (z *Zone) RemoveText(_ context.Context, name, value string) error {
	name = canonical(name)
	z.mu.Lock()
	defer z.mu.Unlock()
	at := slices.Index(z.texts[name], value)
	if at < 0 {
		return nil
	}
	z.texts[name] = slices.Delete(z.texts[name], at, at+1)
	z.touch()
	if len(z.texts[name]) > 0 {
		return nil
	}
	delete(z.texts, name)
	for above := range z.between(name) {
		if z.above[above]--; z.above[above] == 0 {
			delete(z.above, above)
		}
	}
	return nil
}

// textRecords are the texts of a name as a question spells it; z.mu is held.
func (z *Zone) textRecords(owner string) []miekg.RR {
	var all []miekg.RR
	for _, t := range z.texts[canonical(owner)] {
		all = append(all, &miekg.TXT{Hdr: header(owner, miekg.TypeTXT, recordTTL), Txt: []string{t}})
	}
	return all
}
