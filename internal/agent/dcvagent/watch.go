package dcvagent

import (
	"context"
	"reflect"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/backoff"
	"greenroom/internal/logkey"
)

// How often is looked.
const (
	glance     = 2 * time.Second  // at the sockets, which costs next to nothing
	lookEvery  = 2 * time.Second  // at the connections, where sockets tell nothing, and for a while after they changed
	lookSeldom = 15 * time.Second // at the connections, sockets or not
	afterwards = 10 * time.Second // that while: DCV lists a client some time after its socket is there
	describing = 5 * time.Minute  // the session and its licence
	missing    = 20 * time.Second // until it is a problem that there is no session, or no certificate
)

// awaitSession waits until DCV has its console session with the right owner. Right after the boot its command line says
// that no server is running, which is no reason to give up.
func (a *agent) awaitSession(ctx context.Context) error {
	began := time.Now()
	for pause := backoff.Every(100*time.Millisecond, time.Second); ; {
		s, err := a.describe(ctx)
		if err == nil {
			a.saw(s)
			return nil
		}
		if time.Since(began) > missing {
			a.trouble("DCV has no console session: " + err.Error())
		}
		if !pause.Wait(ctx) {
			return ctx.Err()
		}
	}
}

// saw takes note of the session. A licence that is not good is no problem of ours: the control plane knows what to say of it.
func (a *agent) saw(s session) {
	a.session.Update(func(old *session) { *old = s })
	r, _ := a.report.Get()
	problem := ""
	if r.Ended { // what is wrong after the end hooks is theirs, and stays
		problem = r.Problem
	}
	if r.Licence != s.licence || r.Problem != problem {
		a.report.Update(func(r *agentapi.Report) { r.Licence, r.Problem = s.licence, problem })
	}
}

// watch reports who is connected until ctx ends. What cannot be read leaves what was known: a desktop in use is not
// to be taken for an empty one.
func (a *agent) watch(ctx context.Context) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	var looked, described, changed time.Time
	sockets := ""
	for {
		now := time.Now()
		seen, ok := clients(a.Paths.Address)
		if seen != sockets {
			sockets, changed, looked = seen, now, time.Time{}
		}
		every := lookSeldom
		if !ok || now.Sub(changed) < afterwards {
			every = lookEvery
		}
		if now.Sub(looked) >= every-glance/2 {
			looked = now
			a.look(ctx)
		}
		if now.Sub(described) >= describing {
			described = now
			a.check(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *agent) look(ctx context.Context) {
	all, err := a.connections(ctx)
	if ctx.Err() != nil {
		return
	}
	r, _ := a.report.Get()
	if err != nil {
		if a.trouble("DCV does not tell who is connected: " + err.Error()) {
			a.Logger.Warn("connections cannot be read", logkey.Err, err)
		}
		return
	}
	if !reflect.DeepEqual(people(r.Connections), people(all)) {
		a.Logger.Info("connections changed", logkey.Connections, len(all))
		a.report.Update(func(r *agentapi.Report) { r.Connections = all })
	} else if !reflect.DeepEqual(r.Connections, all) {
		a.report.Quietly(func(r *agentapi.Report) { r.Connections = all }) // somebody moved the mouse: the next report tells
	}
	if r.Problem != "" || !licensed(r.Licence) { // it may be over
		a.check(ctx)
	}
}

// trouble reports a problem, and whether it is a new one: what stays as it was need not wake the reporter.
func (a *agent) trouble(problem string) bool {
	if r, _ := a.report.Get(); r.Problem == problem {
		return false
	}
	a.report.Update(func(r *agentapi.Report) { r.Problem = problem })
	return true
}

// licensed reports whether a licence is good, or nothing is told of it.
func licensed(licence string) bool { return licence == "" || licence == "licensed" }

// people is who is connected, without what they do.
func people(all []agentapi.Connection) []agentapi.Connection {
	out := make([]agentapi.Connection, len(all))
	for i, c := range all {
		c.ActiveAt = time.Time{}
		out[i] = c
	}
	return out
}

// check looks at the session and its licence.
func (a *agent) check(ctx context.Context) {
	s, err := a.describe(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.trouble("DCV does not describe its session: " + err.Error())
		return
	}
	a.saw(s)
}

// restartUnused restarts DCV's server as soon as nobody is connected: its configuration and, in old versions, its certificate are
// read at its start. A server that does not answer has nobody connected.
func (a *agent) restartUnused(ctx context.Context) error {
	for pause := backoff.Every(time.Second, 10*time.Second); ; {
		all, err := a.connections(ctx)
		if err != nil || len(all) == 0 {
			a.Logger.Info("DCV's server is restarted")
			return restartServer(ctx)
		}
		a.trouble("DCV has to be restarted, and somebody is connected.")
		if !pause.Wait(ctx) {
			return ctx.Err()
		}
	}
}
