package dnstest

import (
	"testing"

	"greenroom"
	"greenroom/internal/dns"
)

// RunWildcard runs the suite of what access by gateway needs of a provider: the zone's own wildcard is a record like others.
// Published is asked for it by its own name.
func RunWildcard(t *testing.T, open func(t *testing.T) Harness) {
	for name, run := range map[string]func(t *testing.T, h Harness, wild dns.Record){
		"IsWrittenMovedAndTakenAway": wildcardLives, "ForeignIsLeftAlone": wildcardForeign, "NamesBesideItComeAndGo": wildcardBeside, "NoOtherFits": wildcardOther,
	} {
		t.Run("Wildcard"+name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			run(t, h, dns.Record{Name: dns.Wildcard(h.Domain), Address: address(1)})
		})
	}
}

func wildcardLives(t *testing.T, h Harness, wild dns.Record) {
	h.set(t, wild)
	h.set(t, wild)
	h.wantOurs(t, wild)
	h.wantPublished(t, wild)
	h.Zone = h.Reopen(t)
	h.set(t, wild)
	wild.Address = address(2)
	h.set(t, wild)
	h.wantOurs(t, wild)
	h.wantPublished(t, wild)
	h.Zone = h.Reopen(t)
	h.delete(t, wild.Name)
	h.wantOurs(t)
	h.wantNothing(t, wild.Name)
}

func wildcardForeign(t *testing.T, h Harness, wild dns.Record) {
	h.Plant(t, wild)
	h.Zone = h.Reopen(t)
	wantRecordError(t, h.Zone.SetRecords(t.Context(), []dns.Record{{Name: wild.Name, Address: address(9)}}), wild.Name, greenroom.ErrConflict)
	h.delete(t, wild.Name)
	h.wantOurs(t)
	h.wantPublished(t, wild)
}

// wildcardBeside: a server answers for a name that is not there with the wildcard's records, our mark among them.
func wildcardBeside(t *testing.T, h Harness, wild dns.Record) {
	a := h.record("a", 2)
	h.set(t, wild)
	h.set(t, a)
	h.delete(t, a.Name, h.name("never"))
	h.delete(t, h.name("nor-this"))
	h.wantOurs(t, wild)
	h.set(t, a, wild)
	h.wantOurs(t, a, wild)
}

func wildcardOther(t *testing.T, h Harness, _ dns.Record) {
	for _, name := range []string{"*.b." + h.Domain, "a*." + h.Domain, "*", "*.elsewhere.example"} {
		wantRecordError(t, h.Zone.SetRecords(t.Context(), []dns.Record{{Name: name, Address: address(1)}}), name, greenroom.ErrPermanent)
	}
	h.wantOurs(t)
}
