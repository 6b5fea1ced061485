// Package mutations holds faults to be put into the product, each of which the simulation must find. The test builds
// cmd/simulate with one of them at a time, by way of an overlay: no switch for them is in the product.
package mutations

// Mutation is one deliberate fault: in File, Old becomes New. Old occurs exactly once, so that the table fails loudly when the
// code that it is about changes.
type Mutation struct {
	Name, File, Old, New string
}

// Lives, FogLives and RareLives are how many lives are run for a mutation at most.
const (
	Lives     = 2000
	FogLives  = 6000
	RareLives = 40_000
)

const (
	planPlan   = "internal/plan/plan.go"
	planSeat   = "internal/plan/seat.go"
	planEnd    = "internal/plan/end.go"
	planSettle = "internal/plan/settle.go"
	planTrust  = "internal/plan/trust.go"
	step       = "internal/advance/step.go"
	effects    = "internal/advance/effects.go"
	sweep      = "internal/advance/sweep.go"
	desktops   = "internal/meetings/desktops.go"
	join       = "internal/meetings/join.go"
	mem        = "internal/store/memstore/memstore.go"
)

// Table lists those that are found within Lives lives in the storm.
var Table = []Mutation{
	// At most one live machine per seat.
	{"a launch settles at once", planPlan, "effectSettles = EffectTimeout + 5*time.Second", "effectSettles = 0 * EffectTimeout"},
	{"the token does not name the attempt", "id.go", "itoa(h.Attempt) }", "itoa(min(h.Attempt, 1)) }"},
	{"the next attempt has the same number", "desktop.go", "Attempt: d.Attempt + 1", "Attempt: d.Attempt"},
	{"effects have no deadline", effects, `context.WithDeadlineCause(ctx, s.Deadline, errors.New(string(call[0].Do)+" took longer than "+plan.EffectTimeout.String()))`, "context.WithCancel(ctx)"},
	{"the effect comes before its intent is saved", step, "if decision.Changed || !next.WakeAt", "if len(decision.Effects) == 0 && decision.Changed || len(decision.Effects) == 0 && !next.WakeAt"},
	{"a seat gets the id of one that was taken off", "role.go", "return dropped || m.AnySeat(id) != nil", "return dropped && id == \"\" || m.AnySeat(id) != nil"},
	{"asked to go counts as gone", planSeat, "if i.Handle == handle && (!i.Dead || d.RemovalAskedAt.IsZero()) {", "if i.Handle == handle && d.RemovalAskedAt.IsZero() {"},

	// Nothing remains.
	{"a record's removal is forgotten", planSeat, `named := d.Hostname != "" && !d.Unpublished`, "named := false"},
	{"a record's removal may be overtaken", planSeat, "p.effectAt(nameSettles(d), Unpublish", "p.effectAt(d.RetryAt, Unpublish"},
	{"a meeting closes while desktops go", planEnd, "if p.m.Seats[i].Desktop.Phase != greenroom.Gone {", "if p.m.Seats[i].Desktop.Phase.Live() {"},
	{"the sweep leaves machines", sweep, "if err := provider.Terminate(ctx, orphans.ids()...); err != nil {", "if err := error(nil); err != nil {"},
	{"the sweep leaves records", sweep, "if err := s.Records.DeleteRecords(ctx, orphans.ids()); err != nil {", "if err := error(nil); err != nil {"},
	{"removals are not asked for", planSeat, `p.effectAt(removalAgainAt(d), Terminate, s, "the desktop is going", "a removal that shows no effect")`, `p.wait(removalAgainAt(d), "a removal that shows no effect")`},

	// Nobody is sent to what was not proved.
	{"a proof that failed counts", planSettle, "if !proof.OK {", "if !proof.OK && len(proof.Steps) == 0 {"},
	{"no proof is needed", planSettle, `advance(s, greenroom.Proving, "The name "`, `advance(s, greenroom.Ready, "The name "`},

	// A proof expires, and one look is no verdict.
	{"a desktop is entered however old its proof is", join, "case d.Enterable() && !m.Proved(seat, now):", "case d.Enterable() && !m.Proved(seat, now) && d.Hostname == \"\":"},
	{"one look is a verdict", planTrust, "case t.Failed >= looksDenied && t.Denied:", "case t.Failed >= 1 && t.Denied:"},
	{"a look that is lost is a verdict", planTrust, "return p.silent(s, silence(&p.m))", "return true"},
	{"a report is no sign of life", planTrust, "if t.Failed == 0 || s.Desktop.Agent.ReportedAt.After(t.Since) {", "if t.Failed == 0 {"},
	{"a desktop in use is replaced while somebody is connected", planTrust, "return !d.Connected() || p.silent(s, patience)", "return true"},
	{"a proof is as old as its saving", planTrust, "t.ProvedAt, t.Failed, t.Since, t.Denied, t.Told = proof.At, 0,", "t.ProvedAt, t.Failed, t.Since, t.Denied, t.Told = now.Add(time.Minute), 0,"},
	{"a desktop that does not answer is left", planTrust, "p.fail(s, \"The desktop stopped answering\"", "p.wait(p.now.Add(time.Minute), \"The desktop stopped answering\""},
	{"proofs are not taken again", planTrust, "if p.worthProving(s) {", "if p.worthProving(s) && askedAt(s).After(s.Desktop.Trust.LookedAt) {"},

	// No session ends without a lawful reason.
	{"one look is enough for a missing machine", planSeat, "again := d.MissingSince.Add(missingAfter)", "again := d.MissingSince"},
	{"a meeting ends while people are connected", planEnd, "case connected(&p.m):", "case connected(&p.m) && p.m.EndsAt.IsZero():"},
	{"grace is ignored", planEnd, "limit := m.EndsAt.Add(time.Duration(r.Grace))\n", "limit := m.EndsAt\n"},
	{"overtime is ignored", planEnd, "m.EndsAt.Add(time.Duration(max(r.Grace, r.Overtime)))", "m.EndsAt.Add(0 * time.Duration(r.Grace))"},
	{"an empty meeting ends at once", planEnd, "p.endAt(since.Add(time.Duration(r.EmptyAfter)),", "p.endAt(since,"},
	{"no-show counts from the boot", planEnd, "at := later(m.StartsAt, ready).Add(time.Duration(m.Blueprint.Rules.NoShowAfter))", "at := ready.Add(time.Duration(m.Blueprint.Rules.NoShowAfter))"},
	{"a moved meeting takes desktops from people", "meeting.go", "return d.Connected() || d.Phase == InUse", "return d.Phase == InUse"},
	{"a moved meeting takes desktops from those who reload", "meeting.go", "m.Blueprint.Reports() || now.Before(m.KeptUntil(s))", "m.Blueprint.Reports()"},
	{"an edit takes desktops from people and does not ask", "internal/meetings/occupied.go", "if len(people) == 0 || force {", "if true {"},
	{"who was let in a moment ago is late", planEnd, "at = later(at, s.EnteredAt.Add(greenroom.TokenLife))", "at = later(at, s.EnteredAt)"},
	{"the no-show rule ends the meeting", planEnd, "return m.EndsAt\n", "return later(m.StartsAt.Add(time.Duration(r.NoShowAfter)), m.CreatedAt)\n"},
	{"who loses the network at the end loses the desktop", planEnd, "return earlier(later(limit, last.Add(time.Duration(r.EmptyAfter))), overtimeEnds(m))", "return limit"},
	{"a desktop goes for no reason", planSeat, "\t\td.EndReason = reason\n\t\tp.move(s, greenroom.Terminating, why)", "\t\tp.move(s, greenroom.Terminating, why)"},
	{"the end has no evidence", planEnd, "data := map[string]string{\"reason\": string(reason)}\n\tfor k, v := range evidence {", "data := map[string]string{}\n\tfor k, v := range evidence {"},
	{"the sweep does not look twice", sweep, "if !before {", "if !before && false {"},
	{"the sweep takes owned records for orphans", sweep, "!own.byName[r.Name] && s.orphan(ctx, nameOf(r.Name), machines[machine], seen)", "machine != \"\" && s.orphan(ctx, nameOf(r.Name), greenroom.Handle{}, seen)"},

	// A rule that is wrong is loud.
	{"a rule asks for a forbidden move", planSeat, `p.move(s, greenroom.Booting, "The machine "+d.InstanceID+" was accepted by its provider.")`, `p.move(s, greenroom.Proving, "The machine "+d.InstanceID+" was accepted by its provider.")`},
	{"two rules contradict each other", planSeat, "if !d.MissingSince.IsZero() {\n\t\td.MissingSince = time.Time{}", "if d.MissingSince.IsZero() || true {\n\t\td.MissingSince = time.Time{}"},

	// Accepted means saved, and every open meeting is woken.
	{"the revision is not compared", mem, "case r.meeting.Rev != m.Rev:", "case false:"},
	{"a lost race is won by force", "internal/store/change.go", "if m, err = s.Meeting(ctx, id); err != nil {\n\t\t\treturn m, err\n\t\t}", "latest, err := s.Meeting(ctx, id)\n\t\tif err != nil {\n\t\t\treturn m, err\n\t\t}\n\t\tm.Rev = latest.Rev"},
	{"the wake is forgotten", step, "next.WakeAt = promise(s.Meeting, decision, now, a.lease())", "next.WakeAt = s.Meeting.WakeAt"},
	{"the latest wake is kept", planPlan, "if p.wake.IsZero() || t.Before(p.wake) {", "if p.wake.IsZero() || t.After(p.wake) {"},

	// Seats and desktops are capabilities.
	{"any key opens a seat", join, "if !greenroom.SameSecret(seat.Key, key) {", "if !greenroom.SameSecret(seat.Key, key) && key == \"\" {"},
	{"tokens are stored as they are", join, "Hash: greenroom.HashSecret(token)", "Hash: token"},
	{"a token is good for every address", desktops, `case t.Client != "" && t.Client != client:`, "case false:"},
	{"a token stays good unused", desktops, `case t.Client == "" && t.ExpiresAt.Before(now):`, "case false:"},
	{"a spent secret enrols again", desktops, `refused = d.Agent.KeyHash != "" && d.Agent.KeyHash != key || `, "refused = "},
}

// Fog lists those that show only where what is read is of a while ago, and are found within FogLives lives in the fog.
var Fog = []Mutation{
	// The list of the first look may have been asked for before the launch took effect, and come after none can any more.
	{"one look is enough for an unanswered launch", planSeat, "return false, !d.MissingSince.IsZero() && p.due(d.MissingSince.Add(secondLook))", "return false, true"},
	// Two sweeps at once saw a machine, and an index that did not name its meeting yet.
	{"the sweep does not read a meeting again", sweep, `if h.Meeting != "" {`, "if false {"},
}

// Scarce lists those that show only where machines are few, and are found within Lives lives in the climate scarce.
var Scarce = []Mutation{
	{"a machine that goes frees nobody", "internal/advance/blocked.go", "if a.Live == nil || !gone(before, after) {", "if true {"},
	{"a launch is blocked for ever", "internal/plan/blocked.go", "d.Tries, d.RetryAt, d.TurnAt = tries, at, at\n", "d.Tries, d.RetryAt, d.TurnAt = tries, at.Add(24*time.Hour), at.Add(24*time.Hour)\n"},
	{"a full quota is a mistake", planSettle, "if errors.Is(o.Err, greenroom.ErrBlocked) {", "if o.Err != nil && errors.Is(o.Err, greenroom.ErrBlocked) {\n\t\t\to.Err = greenroom.ErrPermanent\n\t\t}\n\t\tif false {"},
}

// Rare lists those that need a rare coincidence, and so minutes of lives: `make mutations` looks for them, too.
var Rare = []Mutation{
	{"the deadline counts from the save", step, "s.Meeting, s.Effects = next, decision.Effects", "s.Meeting, s.Effects, s.Deadline = next, decision.Effects, a.now().Add(plan.EffectTimeout)"},
	{"outcomes of another attempt count", planSettle, "if s == nil || m.Handle(s) != o.Effect.Handle {", "if s == nil {"},
	{"a dead machine is not noticed once it is ready", planSeat, "if inst.Ending && d.Phase.Live() {", "if inst.Ending && d.Phase.Starting() {"},
	{"who came and left between two looks was never there", "internal/plan/park.go", "a.Connections == 0 && a.ConnectedAt.IsZero()", "a.Connections == 0"},
	{"the kill time is ignored", planSeat, "case p.due(d.KillAt):", "case false:"},
	{"failures are retried at once", planSettle, "return min(250*time.Millisecond<<min(tries, 10), 10*time.Second)", "return 0 * time.Duration(tries)"},
	{"a token opens a desktop that goes", desktops, "if !known || !d.Enterable() || seat.Removed", "if !known || seat.Removed"},
}
