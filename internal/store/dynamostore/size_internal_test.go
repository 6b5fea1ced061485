package dynamostore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// A meeting with as many seats as are allowed fits into an item, also when everything that seats can hold is there.
func TestFullMeetingFits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 15, 0, 0, 123456789, time.UTC)
	d := greenroom.Desktop{
		Phase: greenroom.InUse, Attempt: 12, InstanceID: "i-0123456789abcdef0", Hostname: "i-0123456789abcdef0.desk.example.com", Address: "2001:db8:1234:5678:9abc:def0:1234:5678",
		KillAt: now, Timings: map[greenroom.Phase]time.Time{}, Error: strings.Repeat("e", 100), Agent: greenroom.AgentFacts{
			EnrolledAt: now, Version: "1.2.3", ReportedAt: now, ActiveAt: now, KeyHash: strings.Repeat("k", 64), ReadyAt: now, Connections: 2, ConnectedAt: now, DisconnectedAt: now, Licence: "licensed"},
		Proof: &greenroom.Proof{OK: true, At: now, Steps: []greenroom.ProofStep{{Name: "dns", OK: true, Detail: strings.Repeat("d", 80)}, {Name: "tls", OK: true, Detail: strings.Repeat("d", 80)}, {Name: "page", OK: true, Detail: strings.Repeat("d", 80)}}},
	}
	for _, p := range greenroom.Phases()[:7] {
		d.Timings[p] = now
	}
	for range greenroom.MaxTokens {
		d.Tokens = append(d.Tokens, greenroom.Token{Hash: strings.Repeat("h", 64), ExpiresAt: now, Client: "203.0.113.255", UsedAt: now})
	}
	m := greenroom.Meeting{ID: "k3v9m2x7c4p8q1r5", Title: strings.Repeat("t", 200), Blueprint: greenroom.DefaultBlueprint()}
	for i := range MaxSeats {
		d.Launch = greenroom.Launch{Seats: []string{strings.Repeat("s", greenroom.MaxLaunchText)}, Place: "t3.large subnet-0123456789abcdef0"}
		m.Seats = append(m.Seats, greenroom.Seat{ID: fmt.Sprint("student-", i+1), Role: "student", Name: strings.Repeat("n", 50), Email: strings.Repeat("m", 50), Key: greenroom.NewSecret(),
			Desktop: d, UsedAt: now, RequestedAt: now, EnteredAt: now, LeftAt: now})
	}
	doc, err := store.Marshal(m)
	if err != nil || len(doc) > maxItem {
		t.Errorf("%d seats are %d bytes, and an item takes %d (%v)", MaxSeats, len(doc), maxItem, err)
	}
}
