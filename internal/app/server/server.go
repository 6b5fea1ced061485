// Package server puts greenroom together: it is the only importer of implementations. What it starts it stops,
// in order: first who takes requests, then who moves meetings, last what keeps them.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"greenroom"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/access/gateway"
	"greenroom/internal/access/single"
	"greenroom/internal/advance"
	"greenroom/internal/app/components"
	"greenroom/internal/certs/localca"
	"greenroom/internal/compute/localcompute"
	"greenroom/internal/config"
	"greenroom/internal/dns/embeddeddns"
	"greenroom/internal/httpapi"
	"greenroom/internal/httpx"
	"greenroom/internal/logkey"
	"greenroom/internal/notify"
	"greenroom/internal/rungroup"
	"greenroom/internal/scheduler/sqlscheduler"
	"greenroom/internal/secrets"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/web"
)

// Options are what the program is told from outside.
type Options struct {
	Config     config.Config
	Logger     *slog.Logger
	Executable string           // this binary: it is every desktop's agent, too; /proc/self/exe, so that it is the same while this one runs
	Program    string           // the file it was started from, which may be replaced meanwhile
	Hangups    <-chan os.Signal // each asks to read again what can be; nil: none
	Environ    []string         // as os.Environ
	Version    string
	Gallery    bool                // also serve /gallery
	Ready      func(public string) // called once everything answers; may be nil
	LostLines  func() uint64       // of the log, since the start; may be nil
}

// Times of the program's life.
const (
	sweepEvery  = time.Minute
	stopTimeout = 20 * time.Second
	httpGrace   = 3 * time.Second // for requests under way to end
)

// app is everything that runs.
type app struct {
	Options
	listeners *listeners
	tokens    tokens // of organisers
	watch     *watch
	account   components.Account
	secrets   *secrets.Store
	hub       *notify.Hub
	store     *sqlstore.Store
	scheduler *sqlscheduler.Scheduler
	zone      *embeddeddns.Zone // nil if somebody else serves it
	provider  *localcompute.Provider
	core      *components.Core
	tls       *pageTLS        // of pages and API; nil: plain HTTP
	pool      *connlimit.Pool // of the connections to pages and API
	single    *single.Handler // of desktops below the pages' address; nil: they are elsewhere
	replicas  *replicas
	wildcard  *wildcard       // the record, with access by gateway in a provider's zone; nil otherwise
	keeper    *gateway.Keeper // of the certificate with access by gateway; nil otherwise
}

// Run serves until ctx ends, and returns when all it started has stopped; desktops go on living. Errors that
// a person can fix are UserErrors.
func Run(ctx context.Context, o Options) error {
	a := &app{Options: o, hub: notify.New(), pool: newPool()}
	if err := a.raiseLimits(); err != nil {
		return err
	}
	if err := a.openWatch(ctx); err != nil {
		return err
	}
	defer a.watch.traces.Close(ctx)
	defer a.close()
	if err := a.open(ctx); err != nil {
		return err
	}
	handler, err := a.handler()
	if err != nil {
		return err
	}
	return a.run(ctx, handler)
}

// open makes the parts, each needing the ones before it.
func (a *app) open(ctx context.Context) error {
	cfg := a.Config
	var err error
	if err = a.tokens.read(cfg); err != nil {
		return err
	}
	if a.listeners, err = listen(ctx, cfg); err != nil {
		return err
	}
	if err := a.openSecrets(ctx); err != nil {
		return err
	}
	cfg = a.Config // with its secrets
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return &greenroom.UserError{Message: fmt.Sprintf("The data directory %s cannot be made: choose another with --data-dir, or fix its permissions.", cfg.DataDir), Cause: err}
	}
	if a.tls, err = a.openTLS(); err != nil {
		return err
	}
	a.openReplicas()
	if err := a.openStore(ctx); err != nil {
		return err
	}
	if err := a.sameDataDir(ctx); err != nil {
		return err
	}
	control := cfg.Control(a.listeners.http.Addr())
	a.provider, err = localcompute.Open(ctx, localcompute.Options{
		Dir: filepath.Join(cfg.DataDir, "desktops"), Executable: a.Executable, ControlURL: control, Environ: a.Environ,
		OnChange: a.kick, Logger: a.Logger,
	})
	if err != nil {
		return fmt.Errorf("open local desktops: %w", err)
	}
	if a.core, err = components.Open(ctx, a.ports(control)); err != nil {
		return err
	}
	return a.openAccess(ctx)
}

// ports are what the core is built on in a process that stays.
func (a *app) ports(control string) components.Ports {
	cfg := a.Config
	p := components.Ports{
		Config: cfg, Logger: a.Logger, Store: a.store, Secrets: a.secrets, Account: a.account, Kick: a.kick,
		PublicURL: cfg.Public(a.listeners.http.Addr()), ControlURL: control,
		Local: a.provider, Probe: a.probing(), Measure: a.watch.metrics.Effect, Watch: a.watch.core,
		Authority: func(context.Context) (*localca.Authority, error) { return openAuthority(cfg) },
	}
	if a.embedded() {
		p.Zone, p.ACME = a.openZone, a.askOurselves
	}
	return p
}

// kick asks for Advance soon.
func (a *app) kick(meetingID string) { a.scheduler.Kick(meetingID) }

// handler is the whole HTTP side.
func (a *app) handler() (http.Handler, error) {
	public := a.Config.Public(a.listeners.http.Addr())
	var organiser *httpx.Organiser
	joins := httpx.NewJoins()
	pages := web.Options{Service: a.core.Service, Hub: a.hub, Logger: a.Logger, PublicURL: public, Gallery: a.Gallery, Joins: joins}
	if len(a.tokens.hashes()) > 0 {
		organiser = httpx.NewOrganiser(func(context.Context) ([]string, error) { return a.tokens.hashes(), nil })
		pages.GoodToken, pages.Wrong = organiser.Good, organiser.Wrong
	}
	mux := http.NewServeMux()
	httpapi.Register(mux, httpapi.Options{
		Service: a.core.Service, Hub: a.hub, Logger: a.Logger, Version: a.Version, Metrics: a.watch.metrics.Handler(),
		Joins: joins, Ready: a.store.Ping, LocalCA: a.localCA(), Resolvers: a.Config.Resolvers(),
	})
	w, err := web.New(pages)
	if err != nil {
		return nil, fmt.Errorf("open pages: %w", err)
	}
	w.Register(mux)
	if a.bySingle() {
		a.single, err = single.New(single.Options{Desktops: a.core.Service, Hub: a.hub, PublicURL: public, Pool: a.pool, Logger: a.Logger})
		if err != nil {
			return nil, fmt.Errorf("open the way to desktops: %w", err)
		}
		a.single.Register(mux)
	}
	return a.secured(a.watch.traces.Handler(httpx.Guard(mux, httpx.Options{
		Logger: a.Logger, Hosts: httpx.NewHosts(a.listeners.http.Addr(), public, a.Config.ControlURL), Organiser: organiser, Proxies: a.Config.Proxies(),
		Observe: a.watch.metrics.Answer,
	}))), nil
}

// localCA gives the authorities of greenroom's own that browsers meet: of desktops and of the pages. Nil: there are none.
func (a *app) localCA() func() []byte {
	local := a.core.Certificates.LocalCA()
	if a.tls == nil || a.tls.own == nil {
		return local
	}
	return func() []byte {
		return append(append([]byte(nil), a.tls.own.RootPEM()...), a.core.Certificates.LocalPEM()...)
	}
}

// run starts the services in the order in which they need each other; they stop in the opposite one.
func (a *app) run(ctx context.Context, handler http.Handler) error {
	group := rungroup.Group{StopTimeout: stopTimeout}
	a.serveNames(&group)
	a.addAccess(&group)
	if a.replicas != nil {
		group.Add("feed", a.replicas.channel.Run)
	}
	group.Add("database", a.watchStore)
	group.Add("scheduler", a.scheduler.Run)
	group.Add("census", func(ctx context.Context) error { return a.watch.metrics.Count(ctx, a.store) })
	sweeper := &advance.Sweeper{Store: a.watch.core.Store(a.store), Providers: a.core.Providers, Records: a.sweptRecords(), Kick: a.kick, Now: time.Now, Logger: a.Logger}
	group.Add("sweep", func(ctx context.Context) error { return a.sweep(ctx, sweeper) })
	group.Add("hangups", a.reloading)
	group.Add("upkeep", a.upkeep)
	if a.listeners.plain != nil {
		group.Add("plain http", a.servePlain)
	}
	group.Add("http", func(ctx context.Context) error { return a.serveHTTP(ctx, handler) })
	a.Logger.Info("greenroom serves", logkey.Config, a.Config)
	return group.Run(ctx)
}

func (a *app) sweep(ctx context.Context, s *advance.Sweeper) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if a.wildcard != nil {
			_ = a.wildcard.keep(ctx) // it tells itself, and whoever waits for it
		}
		if err := s.Sweep(ctx); err == nil {
			a.watch.metrics.Swept()
		} else if ctx.Err() == nil {
			a.Logger.Error("sweep failed", logkey.Err, err)
		}
		if err := a.core.Certificates.RevokeGone(ctx, a.core.Zone); err != nil && ctx.Err() == nil {
			a.Logger.Error("revocation of certificates failed", logkey.Err, err)
		}
		if found, _, err := a.core.Service.Stuck(ctx); err == nil {
			a.watch.metrics.Stuck(found)
		} else if ctx.Err() == nil {
			a.Logger.Error("check for stuck meetings failed", logkey.Err, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// serveHTTP answers until ctx ends. Streams end with it, so that a stop need not wait for them.
func (a *app) serveHTTP(ctx context.Context, handler http.Handler) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		ConnContext: connlimit.Context, ConnState: connlimit.State, Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(a.Logger.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return base },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(a.guarded()) }()
	if a.Ready != nil {
		a.Ready(a.Config.Public(a.listeners.http.Addr()))
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	a.hub.Close()
	grace, stop := context.WithTimeoutCause(context.WithoutCancel(ctx), httpGrace, fmt.Errorf("requests took longer than %s to end", httpGrace))
	defer stop()
	time.AfterFunc(httpGrace/2, cancel)
	if err := server.Shutdown(grace); err != nil {
		return server.Close()
	}
	return nil
}

// close releases what open has made, the last first.
func (a *app) close() {
	if a.tls != nil && a.tls.close != nil {
		a.tls.close()
	}
	if a.core != nil {
		a.core.Certificates.Close()
	}
	if a.provider != nil {
		a.provider.Close()
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			a.Logger.Error("close store", logkey.Err, err)
		}
	}
	if a.listeners != nil {
		a.listeners.close()
	}
}
