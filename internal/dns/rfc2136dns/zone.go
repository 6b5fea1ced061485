// Package rfc2136dns keeps desktops' names in a zone whose primary server takes dynamic updates (RFC 2136) signed with a
// TSIG key. The owner mark is a TXT record of the same name: the server itself then checks, in one step with the change,
// that the whole name is ours or free, and whoever lists the zone sees mark and address together.
package rfc2136dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
)

// Options of a Zone.
type Options struct {
	Zone      string // desktops are named below it
	Within    string // the zone that the server keeps; empty: Zone
	Server    string // host:port of the primary
	KeyName   string // of the TSIG key
	Secret    func(ctx context.Context) (string, error)
	Refused   func()        // is told when the server did not accept the key; may be nil
	Algorithm string        // of the key: hmac-sha256 (default), -sha224, -sha384, -sha512, -sha1
	Owner     string        // the mark of our records; any other is left alone
	TTL       time.Duration // 1 min
}

const (
	batchSize  = 100             // names of one update: about 10 KiB
	maxUDP     = 1232            // bytes that no network cuts into fragments; more goes over TCP
	ioTimeout  = 5 * time.Second // of one exchange over TCP, or of one try over UDP
	maxRecords = 2_000_000       // of a transfer
	fudge      = 300             // seconds that the two clocks may differ
)

// Zone is a zone with a primary server. It makes no call before it is used.
type Zone struct {
	o    Options
	apex string // of the server's zone, with the final dot
	key  string // its name, with the final dot
	mark string

	mu sync.Mutex // one change follows the other
}

var (
	_ dns.Provider = (*Zone)(nil)
	_ dns.Texts    = (*Zone)(nil)
)

// New returns the zone.
func New(o Options) *Zone {
	o.TTL = cmp.Or(o.TTL, time.Minute)
	o.Algorithm = cmp.Or(o.Algorithm, "hmac-sha256")
	return &Zone{o: o, apex: miekg.Fqdn(cmp.Or(o.Within, o.Zone)), key: miekg.CanonicalName(o.KeyName), mark: dns.Mark(o.Owner)}
}

// BatchSize is how many names one update message changes.
func (z *Zone) BatchSize() int { return batchSize }

// NextCall is now: the server is the operator's own and has no quota.
func (z *Zone) NextCall() time.Time { return time.Time{} }

// Settle does not wait: the protocol does not tell. The proof of a desktop asks every server.
func (z *Zone) Settle(context.Context) error { return nil }

// SetRecords makes the records so; see dns.Zone.
func (z *Zone) SetRecords(ctx context.Context, records []dns.Record) error {
	wanted, errs := dns.Wanted(z.o.Zone, records)
	return errors.Join(append(errs, z.change(ctx, slices.Sorted(maps.Keys(wanted)), change{
		likely: absent,
		add:    func(m *miekg.Msg, name string) { m.Insert(z.records(wanted[name])) },
	})...)...)
}

// DeleteRecords removes our records of these names; see dns.Zone.
func (z *Zone) DeleteRecords(ctx context.Context, names []string) error {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	return errors.Join(z.change(ctx, names, change{likely: ours, deletes: true, add: func(*miekg.Msg, string) {}})...)
}

// state is what a name is before a change.
type state int

const (
	absent state = iota
	ours
)

// change is what is to become of names.
type change struct {
	likely  state // what most names are; the server refuses if one is not
	deletes bool
	add     func(m *miekg.Msg, name string)
}

// change makes it in as few messages as possible. It assumes of all names what is likely; only when the server says that
// this is wrong of one does it ask for each.
func (z *Zone) change(ctx context.Context, names []string, c change) []error {
	z.mu.Lock()
	defer z.mu.Unlock()
	var errs []error
	for some := range slices.Chunk(names, batchSize) {
		states := make(map[string]state, len(some))
		for _, name := range some {
			states[name] = c.likely
		}
		err := z.update(ctx, c, states, some)
		if err == nil {
			continue
		}
		if !errors.Is(err, greenroom.ErrConflict) && dns.Shared(err) {
			errs = append(errs, dns.All(some, err)...)
			continue
		}
		rest, failed := z.ask(ctx, some, states, c.deletes)
		errs = append(errs, failed...)
		errs = append(errs, dns.Apart(rest, func(part []string) error {
			err := z.update(ctx, c, states, part)
			if len(part) > 1 || states[part[0]] == absent || !errors.Is(err, greenroom.ErrConflict) {
				return err
			}
			if c.deletes { // what had our mark was the wildcard, which answers for names that are not there
				return nil
			}
			states[part[0]] = absent
			return z.update(ctx, c, states, part)
		})...)
	}
	return errs
}

// ask finds the state of each name. For a deletion it leaves out those that are not ours: there is nothing to do.
func (z *Zone) ask(ctx context.Context, names []string, states map[string]state, deletes bool) (rest []string, errs []error) {
	for _, name := range names {
		texts, err := z.texts(ctx, name)
		switch {
		case err != nil:
			errs = append(errs, &dns.RecordError{Name: name, Err: err})
			continue
		case slices.Contains(texts, z.mark):
			states[name] = ours
		case deletes:
			continue
		default:
			states[name] = absent
		}
		rest = append(rest, name)
	}
	return rest, errs
}

// update sends one message: all of it is done or nothing. ErrConflict says that a name is not what states say.
func (z *Zone) update(ctx context.Context, c change, states map[string]state, names []string) error {
	m := new(miekg.Msg).SetUpdate(z.apex)
	for _, name := range names {
		header := miekg.RR_Header{Name: miekg.Fqdn(name), Class: miekg.ClassINET}
		if states[name] == absent {
			m.NameNotUsed([]miekg.RR{&miekg.ANY{Hdr: header}})
			continue
		}
		m.Used([]miekg.RR{z.text(name, z.mark, 0)})
		for _, kind := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
			header.Rrtype = kind
			m.RemoveRRset([]miekg.RR{&miekg.ANY{Hdr: header}})
		}
		if c.deletes {
			m.Remove([]miekg.RR{z.text(name, z.mark, 0)})
		}
	}
	for _, name := range names {
		c.add(m, name)
	}
	answer, err := z.exchange(ctx, m)
	if err != nil {
		return fmt.Errorf("update %s: %w", z.apex, err)
	}
	switch answer.Rcode {
	case miekg.RcodeSuccess:
		return nil
	case miekg.RcodeYXDomain, miekg.RcodeYXRrset, miekg.RcodeNXRrset, miekg.RcodeNameError:
		return fmt.Errorf("a record that is not ours has this name: %w", greenroom.ErrConflict)
	}
	return z.refusal(answer)
}

func (z *Zone) records(r dns.Record) []miekg.RR {
	header := func(kind uint16) miekg.RR_Header {
		return miekg.RR_Header{Name: miekg.Fqdn(r.Name), Rrtype: kind, Class: miekg.ClassINET, Ttl: uint32(z.o.TTL.Seconds())}
	}
	all := []miekg.RR{z.text(r.Name, z.mark, z.o.TTL)}
	if r.Address.IsValid() {
		all = append(all, &miekg.A{Hdr: header(miekg.TypeA), A: r.Address.AsSlice()})
	}
	if r.Address6.IsValid() {
		all = append(all, &miekg.AAAA{Hdr: header(miekg.TypeAAAA), AAAA: r.Address6.AsSlice()})
	}
	return all
}

func (z *Zone) text(name, text string, ttl time.Duration) miekg.RR {
	return &miekg.TXT{Hdr: miekg.RR_Header{Name: miekg.Fqdn(name), Rrtype: miekg.TypeTXT, Class: miekg.ClassINET, Ttl: uint32(ttl.Seconds())}, Txt: []string{text}}
}

// GetRecords transfers the zone and returns the addresses of names that carry our mark; see dns.Zone. The key must be
// allowed to transfer: the names cannot be asked for one by one, since what is looked for is what nobody knows of.
func (z *Zone) GetRecords(ctx context.Context) ([]dns.Record, error) {
	marked, found := map[string]bool{}, map[string]dns.Record{}
	n := 0
	err := z.transfer(ctx, func(rr miekg.RR) error {
		if n++; n > maxRecords {
			return errors.New("the zone has too many records")
		}
		name := strings.TrimSuffix(miekg.CanonicalName(rr.Header().Name), ".")
		switch rr := rr.(type) {
		case *miekg.A:
			a, _ := netip.AddrFromSlice(rr.A.To4()) // an A record holds four bytes
			found[name] = dns.NewRecord(name, a, found[name].Address6)
		case *miekg.AAAA:
			a, _ := netip.AddrFromSlice(rr.AAAA) // an AAAA record holds sixteen bytes
			found[name] = dns.NewRecord(name, found[name].Address, a)
		case *miekg.TXT:
			marked[name] = marked[name] || strings.Join(rr.Txt, "") == z.mark
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("transfer %s: %w", z.apex, err)
	}
	var all []dns.Record
	for name, r := range found {
		if marked[name] && strings.HasSuffix(name, "."+z.o.Zone) {
			all = append(all, r)
		}
	}
	return all, nil
}

// AddText adds a TXT record and, beside it, our mark; see dns.Texts. Nothing else of the name is looked at: proofs of several
// ACME clients may stand side by side.
func (z *Zone) AddText(ctx context.Context, name, text string, ttl time.Duration) error {
	if !dns.Below(z.o.Zone, name) {
		return fmt.Errorf("not a name below %s: %w", z.o.Zone, greenroom.ErrPermanent)
	}
	m := new(miekg.Msg).SetUpdate(z.apex)
	m.Insert([]miekg.RR{z.text(name, z.mark+",text="+text, ttl), z.text(name, text, ttl)})
	return z.plainUpdate(ctx, m)
}

// RemoveText removes a text and its mark, if it has ours; see dns.Texts.
func (z *Zone) RemoveText(ctx context.Context, name, text string) error {
	m := new(miekg.Msg).SetUpdate(z.apex)
	texts, err := z.texts(ctx, name)
	if err != nil || !slices.Contains(texts, z.mark+",text="+text) {
		return err
	}
	m.Remove([]miekg.RR{z.text(name, z.mark+",text="+text, 0), z.text(name, text, 0)})
	return z.plainUpdate(ctx, m)
}

func (z *Zone) plainUpdate(ctx context.Context, m *miekg.Msg) error {
	answer, err := z.exchange(ctx, m)
	if err == nil && answer.Rcode != miekg.RcodeSuccess {
		err = z.refusal(answer)
	}
	return err
}

// texts asks the server for a name's TXT records.
func (z *Zone) texts(ctx context.Context, name string) ([]string, error) {
	q := new(miekg.Msg).SetQuestion(miekg.Fqdn(name), miekg.TypeTXT)
	q.RecursionDesired = false
	answer, err := z.exchange(ctx, q)
	if err != nil {
		return nil, err
	}
	if answer.Rcode != miekg.RcodeSuccess && answer.Rcode != miekg.RcodeNameError {
		return nil, z.refusal(answer)
	}
	var all []string
	for _, rr := range answer.Answer {
		if txt, ok := rr.(*miekg.TXT); ok {
			all = append(all, strings.Join(txt.Txt, ""))
		}
	}
	return all, nil
}

// transfer hands every record of the zone to each.
func (z *Zone) transfer(ctx context.Context, each func(miekg.RR) error) error {
	secrets, err := z.sign(ctx, nil)
	if err != nil {
		return err
	}
	m := new(miekg.Msg).SetAxfr(z.apex)
	m.SetTsig(z.key, z.algorithm(), fudge, time.Now().Unix())
	conn, err := (&net.Dialer{Timeout: ioTimeout}).DialContext(ctx, "tcp", z.o.Server)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	t := &miekg.Transfer{Conn: &miekg.Conn{Conn: conn, TsigSecret: secrets}, TsigSecret: secrets, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout}
	in, err := t.In(m, z.o.Server)
	if err != nil {
		return err
	}
	var failed error
	for e := range in { // to the end: whoever sends waits for us
		if failed == nil {
			failed = e.Error
		}
		for _, rr := range e.RR {
			if failed == nil {
				failed = each(rr)
			}
		}
		if failed != nil {
			conn.Close()
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed != nil && strings.Contains(failed.Error(), "bad xfr rcode"):
		return z.whyNoTransfer(ctx)
	}
	return failed
}
