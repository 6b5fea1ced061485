package lambda

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"greenroom"
	"greenroom/internal/app/components"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/logkey"
	"greenroom/internal/observe"
	"greenroom/internal/plan"
	"greenroom/internal/probe"
	"greenroom/internal/secrets"
	"greenroom/internal/store/dynamostore"
)

// Times of a life without processes.
const (
	// lease is how long a meeting waits when the function that moves it dies. Its renewal, in the middle, is a save and a
	// message: most effects are over before.
	lease = 10 * time.Second
	// ordering is how long a certificate is waited for: a function that has answered is frozen.
	ordering = 50 * time.Second
)

// Options are what the functions are told from outside.
type Options struct {
	Config  config.Config // as config.ValidateServerless wants it
	Logger  *slog.Logger
	Version string
}

// Parts are what every function is made of. They are opened when they are first needed and stay: the next event of the same
// sandbox finds them. Its methods may be called at once.
type Parts struct {
	Options
	Store    *dynamostore.Store
	Secrets  *secrets.Store
	account  components.Account
	core     Lazy[*components.Core]
	launched atomic.Bool // whether a machine was asked for since it was last set to false
}

// NewParts returns the parts. It asks nothing of AWS.
func NewParts(ctx context.Context, o Options) (*Parts, error) {
	p := &Parts{Options: o, account: components.AWS(o.Config)}
	account, err := p.account(ctx)
	if err != nil {
		return nil, err
	}
	p.Store = dynamostore.New(dynamostore.Options{AWS: account, Table: o.Config.Serverless.Table, KeepHistory: time.Duration(o.Config.Serverless.KeepHistory)})
	p.Secrets = components.Secrets(p.account, o.Logger)
	p.core.Open = p.openCore
	return p, nil
}

// Core returns what moves meetings. The first call reads from the table who this greenroom is, and may read secrets.
func (p *Parts) Core(ctx context.Context) (*components.Core, error) { return p.core.Get(ctx) }

func (p *Parts) openCore(ctx context.Context) (*components.Core, error) {
	cfg := p.Config
	cfg.MaxSeats = min(cfg.MaxSeats, dynamostore.MaxSeats)
	c, err := components.Open(ctx, components.Ports{
		Config: cfg, Logger: p.Logger, Store: p.Store, Secrets: p.Secrets, Account: p.account,
		Kick:      func(string) {}, // the stream follows every save
		PublicURL: p.Public(), ControlURL: p.control(), Authority: p.localAuthority, ACME: p.acme,
		Probe:      probe.Options{Port: cmp.Or(p.Config.DesktopPort, greenroom.DesktopPort)},
		PushEvents: true, ObserveOnDemand: true, Lease: lease, Measure: p.noteLaunches, Watch: p.watch(),
	})
	if err != nil {
		return nil, err
	}
	go func() { _ = c.Batch.Run(context.Background()) }() // it is frozen with the sandbox, and goes with it
	return c, nil
}

// watch puts every decision into the log; nobody scrapes a function.
func (p *Parts) watch() components.Watch { return components.Watch{Saves: observe.Log(p.Logger)} }

// Public is where people reach the pages, without a final slash; empty where only http's requests tell.
func (p *Parts) Public() string { return strings.TrimRight(p.Config.PublicURL, "/") }

// control is where desktops reach the API.
func (p *Parts) control() string {
	return cmp.Or(strings.TrimRight(p.Config.ControlURL, "/"), p.Public())
}

// localAuthority keeps in the table what a server keeps in its data directory.
func (p *Parts) localAuthority(ctx context.Context) (*localca.Authority, error) {
	return localca.Kept(func(text string) (string, error) { return p.Store.Setting(ctx, "local_authority", text) }, p.Config.Zone)
}

// acme keeps accounts and certificates in the table.
func (p *Parts) acme(o *acmecerts.Options) {
	o.Files, o.Issued, o.Patience = p.Store.Files("acme", 0), p.Store.Files("issued", time.Hour), ordering
}

// Failed logs err, if there is one, and returns it: AWS keeps no more of an error than its text, and that not for long.
func (p *Parts) Failed(what string, err error) error {
	if err != nil {
		p.Logger.Error("event failed", logkey.What, what, logkey.Reason, greenroom.Sentence(err, ""), logkey.Err, err)
	}
	return err
}

// noteLaunches is advance.Advancer's Measure.
func (p *Parts) noteLaunches(do plan.Verb, _ time.Duration, _ error) {
	if do == plan.Launch {
		p.launched.Store(true)
	}
}
