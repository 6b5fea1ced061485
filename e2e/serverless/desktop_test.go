package serverless

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/link"
	"greenroom/internal/awsidentity"
	"greenroom/internal/testenv/ec2test"
)

// desktop is a machine with the agent's own way to the control plane, and a page where DCV's would be.
type desktop struct {
	machine ec2test.Machine
	control *link.Control
	report  *link.Watched[agentapi.Report]
	stop    context.CancelFunc
	ended   sync.WaitGroup
}

// boot starts what runs on machines, as they come, and ends it with them.
func (c *cloud) boot() {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	desktops := map[string]*desktop{}
	var all sync.WaitGroup
	all.Go(func() {
		each(ctx, 200*time.Millisecond, func() {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range c.ec2.Machines() {
				switch d := desktops[m.ID]; {
				case m.State == "running" && d == nil:
					desktops[m.ID] = c.start(m)
				case !m.Live && d != nil:
					d.stop()
				}
			}
		})
		for _, d := range desktops {
			d.stop()
			d.ended.Wait()
		}
	})
	c.desktop = func(id string) *desktop {
		mu.Lock()
		defer mu.Unlock()
		return desktops[id]
	}
	c.t.Cleanup(func() { cancel(); all.Wait() })
}

func (c *cloud) start(m ec2test.Machine) *desktop {
	ctx, cancel := context.WithCancel(context.Background())
	d := &desktop{machine: m, report: link.NewWatched(agentapi.Report{Ready: true}), stop: cancel}
	fail := func(err error) bool {
		if err != nil {
			c.t.Errorf("desktop %s: %v", m.ID, err)
		}
		return err != nil
	}
	data, err := link.ParseUserData(m.UserData)
	if fail(err) {
		return d
	}
	if d.control, err = link.NewControl(func() (agentapi.UserData, error) { return data, nil }); fail(err) {
		return d
	}
	key, err := link.NewKey()
	if fail(err) {
		return d
	}
	logger := slog.New(slog.DiscardHandler)
	identity, err := link.NewIdentity(d.control, key, m.ID, "test", logger)
	if fail(err) {
		return d
	}
	identity.Enrolment.IdentityDocument, identity.Enrolment.IdentitySignature = c.signer.Sign(c.t, awsidentity.Document{
		InstanceID: m.ID, AccountID: account, Region: region, PendingTime: m.Launched,
	})
	listener, err := net.Listen("tcp", net.JoinHostPort(m.Address, "8443"))
	if fail(err) {
		return d
	}
	page := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("DCV")) })}
	reporter := &link.Reporter{Control: d.control, Identity: identity, Report: d.report, Notice: link.NewWatched(link.Notice{}), Logger: logger}
	d.ended.Go(func() { _ = page.Serve(tls.NewListener(listener, &tls.Config{GetCertificate: identity.Serve})) })
	d.ended.Go(func() { _ = identity.Run(ctx) })
	d.ended.Go(func() { _ = reporter.Run(ctx) })
	d.ended.Go(func() { <-ctx.Done(); _ = page.Close() })
	return d
}

// connected says that somebody is at the desktop, or nobody.
func (d *desktop) connected(someone bool) {
	d.report.Update(func(r *agentapi.Report) {
		if r.Connections = nil; someone {
			r.Connections = []agentapi.Connection{{ID: "1", Client: "192.0.2.7", ConnectedAt: time.Now(), User: "greenroom"}}
		}
	})
}
