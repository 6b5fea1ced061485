package greenroom

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Blueprint says how desktops of a kind are made and treated. A meeting keeps the blueprint it was
// scheduled with, so that a change of configuration never moves the rules under a meeting.
type Blueprint struct {
	Name         string   `json:"name"`
	Provider     Provider `json:"provider"`
	Protocol     Protocol `json:"protocol"`
	Seats        []string `json:"seats"`           // the names of the roles that a meeting can have, in their order; see SetRoles
	Roles        []Role   `json:"roles,omitempty"` // those of them that are more than a name
	Applications []string `json:"applications"`    // command lines started on the desktop
	Screen       string   `json:"screen"`          // WIDTHxHEIGHT in pixels
	Hooks        string   `json:"hooks,omitempty"` // directory on the machine with warmup.d and end.d; empty is the machine's own default
	Agent        string   `json:"agent,omitempty"` // "greenroom", or "none": the machine runs no agent of ours, and nothing but the proof tells of it
	User         string   `json:"user,omitempty"`  // whose session it is on a desktop of the protocol dcv
	EC2          EC2      `json:"ec2,omitzero"`    // for the provider ec2
	Rules        Rules    `json:"rules"`
}

// LaunchTogether reports whether desktops that start together are asked for in one call. They are told the same at
// birth then: what they are only follows from which machine they are.
func (b Blueprint) LaunchTogether() bool {
	return b.Provider == ProviderEC2 && !b.EC2.SeparateCalls && b.Reports()
}

// Rules are the times that govern a meeting's desktops.
type Rules struct {
	Lead          Duration           `json:"lead"`
	NoShowAfter   Duration           `json:"no_show_after"`
	EmptyAfter    Duration           `json:"empty_after"`
	Grace         Duration           `json:"grace"`
	Overtime      Duration           `json:"overtime"`
	KillAfter     Duration           `json:"kill_after"`
	WrapUp        Duration           `json:"wrap_up"`             // maximum time for end hooks before a used desktop is removed
	ProofAge      Duration           `json:"proof_age,omitempty"` // nobody is sent to a desktop whose last proof is older; 0: as Blueprint.ProofAge says
	StageDeadline map[Phase]Duration `json:"stage_deadline"`
}

// DefaultRules are the values of a blueprint that says nothing else.
func DefaultRules() Rules {
	return Rules{
		Lead:        Duration(10 * time.Minute),
		NoShowAfter: Duration(15 * time.Minute),
		EmptyAfter:  Duration(10 * time.Minute),
		Grace:       Duration(5 * time.Minute),
		Overtime:    Duration(30 * time.Minute),
		KillAfter:   Duration(12 * time.Hour),
		WrapUp:      Duration(time.Minute),
		StageDeadline: map[Phase]Duration{
			Launching: Duration(2 * time.Minute),
			Booting:   Duration(5 * time.Minute),
			Naming:    Duration(2 * time.Minute),
			Proving:   Duration(3 * time.Minute),
		},
	}
}

// DefaultBlueprint is the pair of teacher and student on this machine.
func DefaultBlueprint() Blueprint {
	return Blueprint{
		Name: "default", Provider: ProviderLocal, Protocol: NoVNC, Screen: "1280x800",
		Seats: []string{"teacher", "student"}, Applications: []string{"xterm"}, Agent: "greenroom", User: "participant", Rules: DefaultRules(),
	}
}

// Reports reports whether desktops of b tell of themselves. Of others, only what is seen from outside is known.
func (b Blueprint) Reports() bool { return b.Agent != "none" }

// ProofAge is how old a proof may be for somebody to be sent to the desktop: what the rules say, or 15 seconds for desktops on
// this machine and a minute for others.
func (b Blueprint) ProofAge() time.Duration {
	switch {
	case b.Rules.ProofAge > 0:
		return time.Duration(b.Rules.ProofAge)
	case b.Provider == ProviderLocal:
		return 15 * time.Second
	}
	return time.Minute
}

// Owner is the user whose session the desktop of a seat is.
func (b Blueprint) Owner(role string) string {
	if b.Protocol != DCV {
		return role
	}
	return cmp.Or(b.User, "participant")
}

// LongestMeeting is the longest duration whose desktops can live from lead to overtime within kill_after.
func (r Rules) LongestMeeting() time.Duration {
	return time.Duration(r.KillAfter - r.Lead - max(r.Grace, r.Overtime))
}

// Validate reports every fault of b, with fields named below prefix ("blueprints.default").
func (b Blueprint) Validate(prefix string, e *InvalidError) {
	b.validateRoles(prefix, e)
	validateScreen(prefix+".screen", b.Screen, e)
	if b.Provider == ProviderEC2 {
		b.EC2.validate(prefix, e)
	}
	if b.Agent != "" && b.Agent != "greenroom" && b.Agent != "none" {
		e.Add(prefix+".agent", "must be greenroom or none, and is %q", b.Agent)
	}
	if !validUser(b.User) {
		e.Add(prefix+".user", "a user is 1 to 64 letters, digits, dots, dashes and underscores, with a domain before a backslash if need be, and not host or observer; %q is not", b.User)
	}
	b.Rules.validate(prefix+".rules", e)
}

func validateScreen(field, screen string, e *InvalidError) {
	var w, h int
	if n, _ := fmt.Sscanf(screen, "%dx%d", &w, &h); n != 2 || w < 320 || h < 240 || w > 7680 || h > 4320 {
		e.Add(field, "a screen is WIDTHxHEIGHT between 320x240 and 7680x4320, such as 1280x800; %q is not", screen)
	}
}

var userPattern = regexp.MustCompile(`^([A-Za-z0-9._-]{1,64}\\)?[A-Za-z0-9._-]{1,64}$`)

// validUser keeps apart the participant and those who visit.
func validUser(name string) bool {
	return name == "" || userPattern.MatchString(name) && name != "host" && name != "observer"
}

func (r Rules) validate(prefix string, e *InvalidError) {
	for _, f := range []struct {
		name     string
		d        Duration
		min, max time.Duration
	}{
		{"lead", r.Lead, 0, 24 * time.Hour},
		{"no_show_after", r.NoShowAfter, time.Second, 24 * time.Hour},
		{"empty_after", r.EmptyAfter, time.Second, 24 * time.Hour},
		{"grace", r.Grace, 0, 24 * time.Hour},
		{"overtime", r.Overtime, 0, 24 * time.Hour},
		{"kill_after", r.KillAfter, time.Minute, 7 * 24 * time.Hour},
		{"wrap_up", r.WrapUp, 0, 15 * time.Minute},
	} {
		if d := time.Duration(f.d); d < f.min || d > f.max {
			e.Add(prefix+"."+f.name, "must be from %s to %s, and is %s", Duration(f.min), Duration(f.max), f.d)
		}
	}
	if r.LongestMeeting() < time.Minute {
		e.Add(prefix+".kill_after", "must leave at least a minute beside lead, grace and overtime")
	}
	if d := time.Duration(r.ProofAge); d != 0 && (d < 5*time.Second || d > time.Hour) {
		e.Add(prefix+".proof_age", "must be from 5s to 1h, or 0s for 15s on this machine and 1m elsewhere, and is %s", r.ProofAge)
	}
	for phase, d := range r.StageDeadline {
		if !phase.Starting() {
			e.Add(prefix+".stage_deadline", "%q has no deadline; launching, booting, naming and proving have", phase)
		}
		if time.Duration(d) < time.Second || time.Duration(d) > time.Hour {
			e.Add(prefix+".stage_deadline."+string(phase), "must be from 1s to 1h, and is %s", d)
		}
	}
}

// Duration is a time.Duration that is written "45m" or "1h30m" in JSON and YAML.
type Duration time.Duration

// String gives Go's form without what is zero at its end: 10m rather than 10m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes what String gives.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the Go form.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("a duration is a Go duration such as 45m or 1h30m; %q is not", text)
	}
	*d = Duration(v)
	return nil
}
