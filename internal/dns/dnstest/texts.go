package dnstest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/libdns/libdns"

	"greenroom/internal/dns"
)

// TextHarness is a zone that can show proofs, opened empty, and what a client is told of a name.
type TextHarness struct {
	Texts     dns.Texts
	Other     dns.Texts // the same zone with another owner mark; nil where nobody else can write
	Domain    string
	Published func(t *testing.T, name string) []string
}

// RunTexts runs the suite of what ACME clients need; open is called once for each case.
func RunTexts(t *testing.T, open func(t *testing.T) TextHarness) {
	for name, run := range map[string]func(t *testing.T, h TextHarness){
		"AppendShowsAndDeleteRemoves": appendDelete, "SeveralTextsOfOneName": severalTexts, "TwiceIsFine": textTwice,
		"OthersTextsStay": othersTexts, "OutsideIsRefused": textOutside, "CancelledContextIsAnError": textCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, open(t))
		})
	}
}

const challenge = "_acme-challenge.i-1"

func (h TextHarness) texts(values ...string) []libdns.Record {
	var out []libdns.Record
	for _, v := range values {
		out = append(out, libdns.TXT{Name: challenge, TTL: time.Minute, Text: v})
	}
	return out
}

func (h TextHarness) append(t *testing.T, values ...string) {
	t.Helper()
	got, err := dns.Challenges{Texts: h.Texts}.AppendRecords(t.Context(), h.Domain+".", h.texts(values...))
	if err != nil || len(got) != len(values) {
		t.Fatalf("append %v: %v, %v", values, got, err)
	}
}

func (h TextHarness) delete(t *testing.T, values ...string) {
	t.Helper()
	if _, err := (dns.Challenges{Texts: h.Texts}).DeleteRecords(t.Context(), h.Domain+".", h.texts(values...)); err != nil {
		t.Fatalf("delete %v: %v", values, err)
	}
}

// wantShown checks that exactly those of all have a record; marks beside them do not matter.
func (h TextHarness) wantShown(t *testing.T, want ...string) {
	t.Helper()
	got := h.Published(t, challenge+"."+h.Domain)
	for _, v := range []string{"one", "two", "theirs"} {
		if slices.Contains(got, v) != slices.Contains(want, v) {
			t.Errorf("clients are told %q, want of these exactly %q", got, want)
		}
	}
}

func appendDelete(t *testing.T, h TextHarness) {
	h.append(t, "one")
	h.wantShown(t, "one")
	h.delete(t, "one")
	h.wantShown(t)
	if got := h.Published(t, challenge+"."+h.Domain); len(got) > 0 {
		t.Errorf("%q is left", got)
	}
}

func severalTexts(t *testing.T, h TextHarness) {
	h.append(t, "one", "two") // a wildcard and its own name have one challenge name
	h.wantShown(t, "one", "two")
	h.delete(t, "one")
	h.wantShown(t, "two")
	h.delete(t, "two")
	h.wantShown(t)
}

func textTwice(t *testing.T, h TextHarness) {
	h.append(t, "one")
	h.append(t, "one")
	h.wantShown(t, "one")
	h.delete(t, "one")
	h.delete(t, "one")
	h.wantShown(t)
}

func othersTexts(t *testing.T, h TextHarness) {
	if h.Other == nil { // what we did not add cannot be there, and removing it is no error
		h.append(t, "one")
		h.delete(t, "theirs", "one")
		h.wantShown(t)
		return
	}
	other := h
	other.Texts = h.Other
	other.append(t, "theirs")
	h.append(t, "one")
	h.wantShown(t, "one", "theirs")
	h.delete(t, "theirs", "one")
	h.wantShown(t, "theirs")
}

func textOutside(t *testing.T, h TextHarness) {
	_, err := dns.Challenges{Texts: h.Texts}.AppendRecords(t.Context(), "elsewhere.example.", h.texts("one"))
	if err == nil {
		t.Error("a text outside of the zone was accepted")
	}
}

func textCancelled(t *testing.T, h TextHarness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (dns.Challenges{Texts: h.Texts}).AppendRecords(ctx, h.Domain+".", h.texts("one")); err == nil {
		t.Error("no error")
	}
	h.wantShown(t)
}
