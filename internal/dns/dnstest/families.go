package dnstest

import (
	"net/netip"
	"testing"

	"greenroom"
	"greenroom/internal/dns"
)

func address6(last byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: last})
}

// both is a record with an address of each family.
func (h Harness) both(label string, last byte) dns.Record {
	return dns.Record{Name: h.name(label), Address: address(last), Address6: address6(last)}
}

func (h Harness) only6(label string, last byte) dns.Record {
	return dns.Record{Name: h.name(label), Address6: address6(last)}
}

func bothFamilies(t *testing.T, h Harness) {
	a, b, c := h.both("a", 1), h.only6("b", 2), h.record("c", 3)
	h.set(t, a, b, c)
	h.set(t, a, b, c)
	h.wantOurs(t, a, b, c)
	for _, r := range []dns.Record{a, b, c} {
		h.wantPublished(t, r)
	}
	h.Zone = h.Reopen(t)
	h.wantOurs(t, a, b, c)
	h.delete(t, a.Name, b.Name)
	h.wantOurs(t, c)
	h.wantNothing(t, a.Name)
	h.wantNothing(t, b.Name)
	h.set(t, a)
	h.wantPublished(t, a)
}

func familiesChange(t *testing.T, h Harness) {
	both, moved := h.both("a", 1), h.both("a", 1)
	moved.Address6 = address6(9)
	for _, r := range []dns.Record{h.record("a", 1), both, moved, h.record("a", 1), h.only6("a", 1), both, h.only6("a", 4), h.record("a", 5)} {
		h.set(t, r)
		h.wantOurs(t, r)
		h.wantPublished(t, r)
	}
	h.Zone = h.Reopen(t)
	h.set(t, both)
	h.wantPublished(t, both)
	h.delete(t, both.Name)
	h.wantOurs(t)
	h.wantNothing(t, both.Name)
}

func foreignFamily(t *testing.T, h Harness) {
	theirs6, theirs4 := h.only6("six", 7), h.record("four", 7)
	h.Plant(t, theirs6)
	h.Plant(t, theirs4)
	h.Zone = h.Reopen(t)
	ours := h.both("ours", 1)
	err := h.Zone.SetRecords(t.Context(), []dns.Record{h.record("six", 8), h.only6("four", 8), ours})
	wantRecordError(t, err, theirs6.Name, greenroom.ErrConflict)
	wantRecordError(t, err, theirs4.Name, greenroom.ErrConflict)
	h.wantOurs(t, ours)
	h.delete(t, theirs6.Name, theirs4.Name)
	h.wantPublished(t, theirs6)
	h.wantPublished(t, theirs4)
}

func wrongFamily(t *testing.T, h Harness) {
	good := h.both("good", 1)
	records := []dns.Record{
		good,
		{Name: h.name("six-as-four"), Address: address6(1)},
		{Name: h.name("four-as-six"), Address6: address(1)},
		{Name: h.name("mapped"), Address6: netip.AddrFrom16(address(1).As16())},
		{Name: h.name("zoned"), Address6: netip.MustParseAddr("fe80::1%eth0")},
	}
	err := h.Zone.SetRecords(t.Context(), records)
	for _, r := range records[1:] {
		wantRecordError(t, err, r.Name, greenroom.ErrPermanent)
	}
	h.wantOurs(t, good)
}
