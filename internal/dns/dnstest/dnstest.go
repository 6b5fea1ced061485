// Package dnstest is the suite that every dns.Zone passes.
package dnstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/dns"
)

// Harness is a zone under test, opened empty, and the means to look at it from outside.
type Harness struct {
	Zone   dns.Zone
	Domain string // names are made below it

	// Plant writes a record that lacks the zone's owner mark, behind the zone's back if need be. The zone
	// that Reopen returns knows it.
	Plant func(t *testing.T, r dns.Record)

	// Reopen closes the zone and opens it again over what it left.
	Reopen func(t *testing.T) dns.Zone

	// Other opens the same zone with another owner mark.
	Other func(t *testing.T) dns.Zone

	// Published is what a client is told about the name now, in both families; a record without addresses if nothing.
	Published func(t *testing.T, name string) dns.Record
}

// Run runs the suite; open is called once for each case.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"SetThenGetAndPublished", setThenGet},
		{"SetTwiceChangesNothing", setTwice},
		{"SetAgainMoves", setAgain},
		{"DeleteTakesItAway", deleteTakes},
		{"DeleteMissingIsFine", deleteMissing},
		{"NothingIsFine", nothing},
		{"ForeignRecordIsLeftAlone", foreign},
		{"GetReturnsOnlyOurs", onlyOurs},
		{"TwoOwnersDoNotDisturbEachOther", twoOwners},
		{"BadRecordDoesNotFailOthers", badRecord},
		{"ForeignAmongManyFailsAlone", foreignAmongMany},
		{"SurvivesReopen", reopen},
		{"BothFamiliesAreOneRecord", bothFamilies},
		{"FamiliesComeAndGo", familiesChange},
		{"ForeignOfTheOtherFamilyIsLeftAlone", foreignFamily},
		{"AddressesOfTheWrongFamilyAreRefused", wrongFamily},
		{"ManyAtOnce", many},
		{"CancelledContextIsAnErrorOrDone", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, open(t))
		})
	}
}

func setThenGet(t *testing.T, h Harness) {
	a, b := h.record("a", 1), h.record("b", 2)
	h.set(t, a, b)
	h.wantOurs(t, a, b)
	h.wantPublished(t, a)
	h.wantPublished(t, b)
}

func setTwice(t *testing.T, h Harness) {
	a := h.record("a", 1)
	h.set(t, a)
	h.set(t, a)
	h.set(t, a, a)
	h.wantOurs(t, a)
}

func setAgain(t *testing.T, h Harness) {
	h.set(t, h.record("a", 1))
	moved := h.record("a", 9)
	h.set(t, moved)
	h.wantOurs(t, moved)
	h.wantPublished(t, moved)
}

func deleteTakes(t *testing.T, h Harness) {
	a, b := h.record("a", 1), h.record("b", 2)
	h.set(t, a, b)
	h.delete(t, a.Name)
	h.wantOurs(t, b)
	h.wantNothing(t, a.Name)
	h.set(t, a)
	h.wantPublished(t, a)
}

func deleteMissing(t *testing.T, h Harness) {
	a := h.record("a", 1)
	h.set(t, a)
	h.delete(t, h.name("never"), h.name("nor-this"))
	h.wantOurs(t, a)
	h.delete(t, a.Name, a.Name)
	h.delete(t, a.Name)
	h.wantOurs(t)
}

func nothing(t *testing.T, h Harness) {
	h.set(t)
	h.delete(t)
	h.wantOurs(t)
}

func foreign(t *testing.T, h Harness) {
	theirs := h.record("theirs", 7)
	h.Plant(t, theirs)
	h.Zone = h.Reopen(t)

	ours := h.record("ours", 1)
	err := h.Zone.SetRecords(t.Context(), []dns.Record{{Name: theirs.Name, Address: address(8)}, ours})
	wantRecordError(t, err, theirs.Name, greenroom.ErrConflict)
	h.wantOurs(t, ours)
	h.delete(t, theirs.Name)
	h.wantPublished(t, theirs)
}

func onlyOurs(t *testing.T, h Harness) {
	h.Plant(t, h.record("theirs", 7))
	h.Zone = h.Reopen(t)
	h.wantOurs(t)
	a := h.record("a", 1)
	h.set(t, a)
	h.wantOurs(t, a)
}

func twoOwners(t *testing.T, h Harness) {
	theirs, ours := h.record("theirs", 7), h.record("ours", 1)
	other := h
	other.Zone = h.Other(t)
	other.set(t, theirs)
	h.Zone = h.Reopen(t)
	h.set(t, ours)
	wantRecordError(t, h.Zone.SetRecords(t.Context(), []dns.Record{{Name: theirs.Name, Address: address(8)}}), theirs.Name, greenroom.ErrConflict)
	h.delete(t, theirs.Name)
	h.wantOurs(t, ours)

	other.Zone = h.Other(t)
	wantRecordError(t, other.Zone.SetRecords(t.Context(), []dns.Record{{Name: ours.Name, Address: address(8)}}), ours.Name, greenroom.ErrConflict)
	other.delete(t, ours.Name)
	other.wantOurs(t, theirs)
	h.wantPublished(t, ours)
	h.wantPublished(t, theirs)

	other.delete(t, theirs.Name)
	h.Zone = h.Reopen(t)
	h.set(t, h.record("theirs", 3)) // the name is free again
	h.wantPublished(t, h.record("theirs", 3))
}

func foreignAmongMany(t *testing.T, h Harness) {
	theirs := h.record("m07", 77)
	h.Plant(t, theirs)
	h.Zone = h.Reopen(t)
	var all, want []dns.Record
	for i := range 20 {
		r := h.record(fmt.Sprintf("m%02d", i), byte(i+1))
		if all = append(all, r); r.Name != theirs.Name {
			want = append(want, r)
		}
	}
	err := h.Zone.SetRecords(t.Context(), all)
	wantRecordError(t, err, theirs.Name, greenroom.ErrConflict)
	h.wantOurs(t, want...)
	h.wantPublished(t, theirs)
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	h.delete(t, names...)
	h.wantOurs(t)
	h.wantPublished(t, theirs)
}

func badRecord(t *testing.T, h Harness) {
	good := h.record("good", 1)
	outside := dns.Record{Name: "a.elsewhere.example", Address: address(2)}
	homeless := dns.Record{Name: h.name("homeless")}
	err := h.Zone.SetRecords(t.Context(), []dns.Record{outside, good, homeless})
	wantRecordError(t, err, outside.Name, greenroom.ErrPermanent)
	wantRecordError(t, err, homeless.Name, greenroom.ErrPermanent)
	if strings.Contains(err.Error(), good.Name) {
		t.Errorf("the error speaks of the good record: %v", err)
	}
	h.wantOurs(t, good)
	h.wantPublished(t, good)
}

func reopen(t *testing.T, h Harness) {
	a, b := h.record("a", 1), h.record("b", 2)
	h.set(t, a, b)
	h.delete(t, b.Name)
	h.Zone = h.Reopen(t)
	h.wantOurs(t, a)
	h.wantPublished(t, a)
	h.wantNothing(t, b.Name)
}

func many(t *testing.T, h Harness) {
	const writers, each = 8, 12
	var wg sync.WaitGroup
	var want []dns.Record
	for w := range writers {
		batch := make([]dns.Record, each)
		for i := range batch {
			batch[i] = h.record(fmt.Sprintf("w%d-%d", w, i), byte(i+1))
		}
		want = append(want, batch[each/2:]...)
		wg.Go(func() {
			if err := h.Zone.SetRecords(t.Context(), batch); err != nil {
				t.Errorf("set: %v", err)
			}
			for _, r := range batch[:each/2] {
				if err := h.Zone.DeleteRecords(t.Context(), []string{r.Name}); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
			if _, err := h.Zone.GetRecords(t.Context()); err != nil {
				t.Errorf("get: %v", err)
			}
		})
	}
	wg.Wait()
	h.wantOurs(t, want...)
	h.Zone = h.Reopen(t)
	h.wantOurs(t, want...)
}

// cancelled: a zone may do what it was asked for or say that it did not; it must not say one and do the other.
func cancelled(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := h.record("a", 1)
	if err := h.Zone.SetRecords(ctx, []dns.Record{a}); err == nil {
		h.wantOurs(t, a)
	} else {
		h.wantOurs(t)
	}
}

func (h Harness) name(label string) string { return label + "." + h.Domain }

func (h Harness) record(label string, last byte) dns.Record {
	return dns.Record{Name: h.name(label), Address: address(last)}
}

func address(last byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, last}) }

func (h Harness) set(t *testing.T, records ...dns.Record) {
	t.Helper()
	if err := h.Zone.SetRecords(t.Context(), records); err != nil {
		t.Fatalf("set %v: %v", records, err)
	}
}

func (h Harness) delete(t *testing.T, names ...string) {
	t.Helper()
	if err := h.Zone.DeleteRecords(t.Context(), names); err != nil {
		t.Fatalf("delete %v: %v", names, err)
	}
}

func (h Harness) wantOurs(t *testing.T, want ...dns.Record) {
	t.Helper()
	got, err := h.Zone.GetRecords(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := func(a, b dns.Record) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	same := gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := gocmp.Diff(want, got, same); diff != "" && len(want)+len(got) > 0 {
		t.Errorf("our records (-want +got):\n%s", diff)
	}
}

func (h Harness) wantPublished(t *testing.T, want dns.Record) {
	t.Helper()
	if got := h.Published(t, want.Name); got.Address != want.Address || got.Address6 != want.Address6 {
		t.Errorf("clients are told %v of %s, want %v", got.Addresses(), want.Name, want.Addresses())
	}
}

func (h Harness) wantNothing(t *testing.T, name string) {
	t.Helper()
	if got := h.Published(t, name).Addresses(); len(got) > 0 {
		t.Errorf("clients are told %v of %s, want nothing", got, name)
	}
}

// wantRecordError checks that one of the joined errors is about name and of that kind.
func wantRecordError(t *testing.T, err error, name string, kind error) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("the error does not join others: %v", err)
	}
	for _, one := range joined.Unwrap() {
		if r, ok := errors.AsType[*dns.RecordError](one); ok && r.Name == name {
			if !errors.Is(one, kind) {
				t.Errorf("%s: %v, want %v", name, one, kind)
			}
			return
		}
	}
	t.Errorf("no RecordError for %s in: %v", name, err)
}
