package web

import (
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// agentCard is what a desktop's agent tells of it, for its organiser.
type agentCard struct {
	Version    string
	ReportedAt time.Time
	ActiveAt   time.Time
	Licence    string
}

// newAgentCard is nil as long as no agent has enrolled.
func newAgentCard(d *greenroom.Desktop) *agentCard {
	a := &d.Agent
	if a.KeyHash == "" {
		return nil
	}
	return &agentCard{Version: a.Version, ReportedAt: a.ReportedAt, ActiveAt: a.ActiveAt, Licence: a.Licence}
}

// warnings are what an organiser should know of a desktop that is there: nothing of it ends or replaces the desktop.
func warnings(d *greenroom.Desktop, zone string, now time.Time) []string {
	if !d.Phase.Live() {
		return nil
	}
	var out []string
	a := &d.Agent
	if a.Problem != "" {
		out = append(out, "The desktop reports a problem: "+a.Problem)
	}
	if text := meetings.LicenceTrouble(a.Licence); text != "" {
		out = append(out, text)
	}
	if meetings.Silent(d, now) {
		out = append(out, "Nothing was heard from the desktop since "+clock(a.ReportedAt, zone)+". Whoever is connected may well be unhurt: the desktop may only not reach the server.")
	}
	return out
}
