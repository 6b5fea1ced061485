package server

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"time"

	"greenroom"
	"greenroom/internal/access/gateway"
	"greenroom/internal/access/sniproxy"
	"greenroom/internal/config"
	"greenroom/internal/dns"
	"greenroom/internal/dns/embeddeddns"
	"greenroom/internal/probe"
	"greenroom/internal/rungroup"
)

// gatewayLife is how long a certificate of the gateway is asked for; the issuer may give less.
const gatewayLife = 30 * 24 * time.Hour

// byGateway reports whether browsers come to greenroom's gateway and not to the desktops themselves.
func (a *app) byGateway() bool { return a.Config.Access == config.AccessGateway }

// bySingle reports whether desktops are below the address of the pages.
func (a *app) bySingle() bool { return a.Config.Access == config.AccessSingle }

// front is the way to desktops below the address of the pages, as the probe goes it. A proxy in front ends TLS itself: behind it
// there is plain HTTP.
func (a *app) front() *probe.Front {
	f := &probe.Front{URL: a.Config.Public(a.listeners.http.Addr()), Addr: a.listeners.http.Addr()}
	if a.tls != nil {
		f.TLS = &probe.FrontTLS{Roots: a.tls.trusted, Own: a.Config.TLS.Issuer == config.IssuerFiles}
	}
	return f
}

// gatewayAddress is the address that all desktops' names have; not valid if each has its own.
func (a *app) gatewayAddress() netip.Addr {
	if !a.byGateway() {
		return netip.Addr{}
	}
	return a.Config.Gateway()
}

// listensForDesktops reports whether browsers' connections to desktops end at our listener.
func (a *app) listensForDesktops() bool { return a.listeners.desktops != nil }

// desktopPort is the port in desktops' addresses as browsers use them.
func (a *app) desktopPort() int {
	own := greenroom.DesktopPort
	if a.listensForDesktops() {
		own = a.listeners.desktops.Addr().(*net.TCPAddr).Port
	}
	return cmp.Or(a.Config.DesktopPort, own)
}

func (a *app) zoneOptions(owner string) embeddeddns.Options {
	o := embeddeddns.Options{
		Zone: a.Config.Zone, Owner: owner, Records: zoneRecords{a.store, a.replicas.named}, Shared: a.replicas != nil, Wildcard: a.gatewayAddress(),
	}
	if a.replicas != nil {
		o.Texts = a.store
	}
	for _, s := range a.Config.DNS.OwnServers() {
		o.NameServers = append(o.NameServers, embeddeddns.NameServer(s))
	}
	return o
}

// openAccess makes what the way to desktops needs beyond their names.
func (a *app) openAccess(ctx context.Context) error {
	if a.bySingle() {
		a.core.Advancer.Records = unnamed{a.core.Zone, a.way}
	}
	if !a.byGateway() {
		return nil
	}
	if a.zone == nil {
		a.wildcard = &wildcard{zone: a.core.Zone, record: dns.Record{Name: dns.Wildcard(a.Config.Zone), Address: a.gatewayAddress()}, logger: a.Logger}
	}
	a.core.Advancer.Records = unnamed{a.core.Zone, a.way}
	if a.core.Certificates.Edge != nil {
		return nil
	}
	a.keeper = &gateway.Keeper{Issue: a.core.Certificates.Local.IssueWildcard, Life: gatewayLife, Logger: a.Logger}
	return a.keeper.Open(ctx)
}

// way reports why a desktop's name does not lead to it through the gateway or the server, or nil.
func (a *app) way(ctx context.Context, name string) error {
	if a.wildcard != nil {
		if err := a.wildcard.there(ctx); err != nil {
			return err
		}
	}
	_, err := a.core.Service.Way(ctx, name)
	return err
}

// sweptRecords is the zone as the sweep sees it. Under direct access a wildcard that gateway access left behind is an orphan.
func (a *app) sweptRecords() dns.Zone {
	if a.wildcard == nil {
		return a.core.Zone
	}
	return besideWildcard{a.core.Zone, a.wildcard.record.Name}
}

// addAccess adds what serves the listener for desktops.
func (a *app) addAccess(group *rungroup.Group) {
	switch {
	case a.bySingle():
		a.watch.metrics.Listener(a.single.Stats)
		group.Add("desktops", a.single.Run)
	case a.byGateway():
		o := gateway.Options{Desktops: a.core.Service, Changes: a.hub.Subscribe, Zone: a.Config.Zone, Logger: a.Logger}
		if a.keeper != nil {
			o.GetCertificate = a.keeper.Certificate
			group.Add("certificate", a.keeper.Run)
		} else {
			o.GetCertificate = a.core.Certificates.Edge.GetCertificate
		}
		e := gateway.New(o)
		a.watch.metrics.Listener(e.Stats)
		group.Add("desktops", func(ctx context.Context) error { return e.Serve(ctx, a.listeners.desktops) })
	case a.listensForDesktops():
		g := sniproxy.New(sniproxy.Options{Lookup: a.zone.Lookup, Zone: a.Config.Zone, Logger: a.Logger})
		a.watch.metrics.Listener(g.Stats)
		group.Add("desktops", func(ctx context.Context) error { return g.Serve(ctx, a.listeners.desktops) })
	}
}

// unnamed is the zone where desktops have no records of their own, because one wildcard record stands for all or because they are
// below the address of the pages: naming one means that the way to it is known, and nothing is written. What was written under direct access is the sweep's to remove.
type unnamed struct {
	dns.Zone
	way func(ctx context.Context, name string) error
}

func (b unnamed) SetRecords(ctx context.Context, records []dns.Record) error {
	for _, r := range records {
		if err := b.way(ctx, r.Name); err != nil {
			return &dns.RecordError{Name: r.Name, Err: err}
		}
	}
	return nil
}

func (unnamed) DeleteRecords(context.Context, []string) error { return nil }
