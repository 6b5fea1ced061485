package web

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"greenroom"
)

// Every end of a meeting with every phase and every reason for a removal: no sentence of the page may contradict another.
func TestNoSentenceContradictsTheState(t *testing.T) {
	t.Parallel()
	dist, err := fs.Sub(bundle, "static/dist")
	if err != nil {
		t.Fatal(err)
	}
	view, err := newRenderer(dist)
	if err != nil {
		t.Fatal(err)
	}
	ends := []greenroom.EndReason{"", greenroom.Completed, greenroom.NoShow, greenroom.EndedByHost, greenroom.Cancelled, greenroom.Expired, greenroom.GaveUp}
	removals := []greenroom.RemovalReason{"", greenroom.RemovedNoShow, greenroom.RemovedRescheduled, greenroom.RemovedSeat, greenroom.RemovedKillTime, greenroom.RemovedFailed}
	base := cannedMeetings()[0].meeting
	for _, end := range ends {
		for _, phase := range greenroom.Phases() {
			for _, why := range append(slices.Clone(removals), greenroom.RemovalReason(end)) {
				for _, launched := range []bool{true, false} {
					m := base.Clone()
					m.Seats = m.Seats[:1]
					m.EndReason = end
					d := cannedDesktop(phase, m.StartsAt)
					if phase == greenroom.Gone || phase == greenroom.Terminating {
						d.EndReason = why
					} else if d.EndReason = ""; why != "" {
						continue
					}
					if !launched {
						if phase != greenroom.Planned && phase != greenroom.Gone {
							continue
						}
						d.Timings = map[greenroom.Phase]time.Time{greenroom.Planned: m.CreatedAt}
					}
					if end != "" {
						m.EndedAt = m.StartsAt
					}
					m.Seats[0].Desktop = d
					p := newMeetingPage(&m, nil, cannedLinks(&m), m.StartsAt.Add(time.Minute))
					p.frame = stillFrame("x", "list")
					html, err := view.execute("meeting", "layout.html", p)
					if err != nil {
						t.Fatal(err)
					}
					for _, fault := range contradictions(&m, &d, string(html), p) {
						t.Errorf("meeting %q, desktop %s, removed %q, launched %v: %s", end, phase, why, launched, fault)
					}
				}
			}
		}
	}
}

func contradictions(m *greenroom.Meeting, d *greenroom.Desktop, html string, p meetingPage) []string {
	var out []string
	forbid := func(when bool, text string) {
		if when && strings.Contains(html, text) {
			out = append(out, "it says "+text)
		}
	}
	over, gone, going := m.EndReason != "", d.Phase == greenroom.Gone, d.Phase == greenroom.Terminating
	_, launched := d.Entered(greenroom.Launching)
	forbid(over, "gets a new one")
	forbid(over, "Copy</button>")
	forbid(over, "Extend by")
	forbid(over, ">Planned<")
	forbid(m.EndReason == greenroom.Cancelled, "because the meeting is over")
	forbid(m.EndReason != greenroom.Cancelled, "was cancelled")
	forbid(gone || going, `class="bar"`)
	forbid(!gone, "Removed because")
	forbid(!going, "Being removed")
	forbid(!launched, "Removed ")
	forbid(launched, "Never started")
	forbid(!over, "the meeting is complete")
	note := p.Seats[0].Note
	if (gone || going) && note == "" {
		out = append(out, "nothing says what became of the desktop")
	}
	if note != "" && (!strings.HasSuffix(note, ".") || strings.Contains(note, "..")) {
		out = append(out, "no sentence: "+note)
	}
	return out
}
