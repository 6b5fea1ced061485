package embeddeddns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
)

// maxTexts bounds a name's texts: more than proofs under way at once for a name and its wildcard.
const maxTexts = 32

// challengeLabel begins the names that texts are looked up for where others write them, too.
const challengeLabel = "_acme-challenge."

// AddText serves a TXT record; see dns.Texts. Its lifetime is that of all records. Where this process alone answers it is not
// kept: who proves something begins anew after a restart, and nothing is left behind. For the same reason all texts are ours.
func (z *Zone) AddText(ctx context.Context, name, value string, _ time.Duration) error {
	const longest = 255 // bytes of one string
	name = canonical(name)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := miekg.IsDomainName(name); !ok || !dns.Below(z.apex, name) || len(value) > longest {
		return fmt.Errorf("not a text of at most %d bytes and a name below %s: %w", longest, z.apex, greenroom.ErrPermanent)
	}
	if z.keptTexts != nil {
		return z.keepText(ctx, name, value)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case slices.Contains(z.texts[name], value):
		return nil
	case len(z.texts[name]) >= maxTexts:
		return tooMany(name)
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
func (z *Zone) RemoveText(ctx context.Context, name, value string) error {
	name = canonical(name)
	if z.keptTexts != nil {
		return z.keptTexts.DeleteText(ctx, name, value)
	}
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

// keepText keeps a text where every process that answers for the zone finds it.
func (z *Zone) keepText(ctx context.Context, name, value string) error {
	if !strings.HasPrefix(name, challengeLabel) {
		return fmt.Errorf("only proofs for %s can be kept: %w", challengeLabel, greenroom.ErrPermanent)
	}
	there, err := z.keptTexts.Texts(ctx, name)
	if err != nil {
		return err
	}
	if !slices.Contains(there, value) && len(there) >= maxTexts {
		return tooMany(name)
	}
	return z.keptTexts.PutText(ctx, name, value, time.Now())
}

func tooMany(name string) error {
	return fmt.Errorf("%s has %d texts already: %w", name, maxTexts, greenroom.ErrCapacity)
}

// lookTexts asks the store for a name's texts, within the bounds of all looks.
func (z *Zone) lookTexts(name string) ([]string, error) {
	return bounded(z.looks, name, func(ctx context.Context) ([]string, error) { return z.keptTexts.Texts(ctx, name) })
}

// textRecords are texts of a name as a question spells it.
func textRecords(owner string, values []string) []miekg.RR {
	var all []miekg.RR
	for _, v := range values {
		all = append(all, &miekg.TXT{Hdr: header(owner, miekg.TypeTXT, recordTTL), Txt: []string{v}})
	}
	return all
}
