package sim

import "time"

// Rates say how often each thing fails. A rate is the chance at each opportunity; zero is never.
type Rates struct {
	// The control plane.
	Crash     float64       // a process dies, at each call to the world
	Stop      float64       // a process is stopped (SIGSTOP), at each call to the world
	StopFor   time.Duration // at most
	DownFor   time.Duration // a dead process is started again within this
	Blackout  float64       // every process dies at once, for up to fourteen hours; once a life
	Sleep     float64       // the machine with all processes and desktops sleeps for up to ten hours; once a life
	ClockJump float64       // a process's clock is set, at each call to the world
	Store     float64       // the store does not answer, before or after the write took effect
	KickLost  float64       // an event is lost; as often it comes late, or twice
	LateIndex float64       // who reads what is live does not see what became so within the last three seconds
	SweepSoon float64       // a sweep follows another at once: its event came twice
	Torn      float64       // between two pages of a long reading a meeting changes its state, if one does within ten minutes

	// The provider.
	Refused   float64 // an error before anything took effect
	LostReply float64 // it took effect and its answer is an error, or never comes
	Slow      float64 // an answer that takes up to half a minute
	Throttled float64
	Capacity  float64
	Quota     float64 // the provider gives a few machines at once and no more; once a life
	Permanent float64
	SlowBoot  float64 // up to ten minutes
	NeverBoot float64
	Vanish    float64 // a machine is gone, or dies, in its first hours
	Stale     float64 // a list that is up to four seconds old
	DeepStale float64 // a list that is up to twenty seconds old
	SlowList  float64 // a list that is true of when it was asked for, and comes up to half a minute later
	ListError float64

	// The zone and the proof.
	DNS   float64 // before or after the effect
	Probe float64 // a probe that fails for no reason

	// Desktops and people.
	AgentSilent float64 // never ready
	AgentError  float64 // reports that it will never be ready
	LateReport  float64 // a report comes late, twice or out of order
	Mischief    float64 // a wrong key, a spent or foreign token
	Sick        float64 // a desktop becomes half-dead: frozen, half-frozen, or its agent lies; a third recovers
	Busy        float64 // a machine is slow for up to eight seconds, again and again
	Exact       bool    // no desktop that is well may be given up
	BadMoment   float64 // the organiser changes something right after the meeting's state has changed
}

// Climates are the weather that a seed may live in.
var Climates = map[string]Rates{
	"calm": {DownFor: time.Minute, StopFor: time.Second, Stale: 0.02, Exact: true},
	"rough": {
		Crash: 0.002, Stop: 0.001, StopFor: 30 * time.Second, DownFor: time.Minute, Blackout: 0.05, Sleep: 0.05, ClockJump: 0.002, Store: 0.005, KickLost: 0.1,
		Refused: 0.03, LostReply: 0.03, Slow: 0.02, Throttled: 0.02, Quota: 0.1, Capacity: 0.03, Permanent: 0.003, SlowBoot: 0.05, NeverBoot: 0.01, Vanish: 0.05,
		Stale: 0.05, DeepStale: 0.002, ListError: 0.02, DNS: 0.05, Probe: 0.05, AgentSilent: 0.02, AgentError: 0.01, LateReport: 0.05, Mischief: 0.05, Sick: 0.1, Busy: 0.1,
	},
	"storm": {
		Crash: 0.01, Stop: 0.008, StopFor: 3 * time.Minute, DownFor: 5 * time.Minute, Blackout: 0.2, Sleep: 0.1, ClockJump: 0.01, Store: 0.02, KickLost: 0.2,
		Refused: 0.12, LostReply: 0.12, Slow: 0.1, Throttled: 0.05, Quota: 0.1, Capacity: 0.1, Permanent: 0.01, SlowBoot: 0.15, NeverBoot: 0.05, Vanish: 0.2,
		Stale: 0.2, DeepStale: 0.02, ListError: 0.08, DNS: 0.15, Probe: 0.2, AgentSilent: 0.05, AgentError: 0.03, LateReport: 0.2, Mischief: 0.2, Sick: 0.3, Busy: 0.2,
	},
	// Desktops are half-dead, machines are busy and looks are lost, and all else is well.
	"busy": {DownFor: time.Minute, StopFor: time.Second, Sleep: 0.1, Probe: 0.02, Sick: 0.2, Busy: 0.5, Exact: true},
	// There are never machines enough, and all else is well.
	"scarce": {DownFor: time.Minute, StopFor: time.Second, Stale: 0.02, Quota: 1, Exact: true},
	// Few things break here, and everything that is read is of a while ago.
	"fog": {
		Crash: 0.002, StopFor: 30 * time.Second, DownFor: time.Minute, ClockJump: 0.002, KickLost: 0.1, LateIndex: 0.6, SweepSoon: 0.2, Torn: 0.6,
		LostReply: 0.2, Slow: 0.5, SlowBoot: 0.1, Vanish: 0.5, Stale: 0.1, DeepStale: 0.005, SlowList: 0.25, DNS: 0.02, Probe: 0.05, BadMoment: 0.8,
	},
}
