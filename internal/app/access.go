package app

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"time"

	"greenroom/internal/dns"
	"greenroom/internal/dns/embeddeddns"
	"greenroom/internal/edge"
	"greenroom/internal/gateway"
	"greenroom/internal/rungroup"
)

// edgeLife is how long a certificate of the edge is asked for; the issuer may give less.
const edgeLife = 30 * 24 * time.Hour

// ownPort is where a desktop answers itself.
const ownPort = 8443

// byGateway reports whether browsers come to greenroom's own edge and not to the desktops themselves.
func (a *app) byGateway() bool { return a.Config.Access == "gateway" }

// edgeAddress is the address that all desktops' names have; not valid if each has its own.
func (a *app) edgeAddress() netip.Addr {
	if !a.byGateway() {
		return netip.Addr{}
	}
	return a.Config.Gateway()
}

// listensForDesktops reports whether browsers' connections to desktops end at our listener.
func (a *app) listensForDesktops() bool { return a.listeners.desktops != nil }

// desktopPort is the port in desktops' addresses as browsers use them.
func (a *app) desktopPort() int {
	own := ownPort
	if a.listensForDesktops() {
		own = a.listeners.desktops.Addr().(*net.TCPAddr).Port
	}
	return cmp.Or(a.Config.DesktopPort, own)
}

func (a *app) zoneOptions(owner string) embeddeddns.Options {
	o := embeddeddns.Options{
		Zone: a.Config.Zone, Owner: owner, Records: zoneRecords{a.store, a.replicas.named}, Shared: a.replicas != nil, Wildcard: a.edgeAddress(),
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
	if !a.byGateway() {
		return nil
	}
	if a.zone == nil {
		a.wildcard = &wildcard{zone: a.names, record: dns.Record{Name: dns.Wildcard(a.Config.Zone), Address: a.edgeAddress()}, logger: a.Logger}
	}
	a.advancer.Records = behindEdge{a.names, a.way}
	if a.certs.edge != nil {
		return nil
	}
	a.edge = &edge.Keeper{Issue: a.certs.local.IssueWildcard, Life: edgeLife, Logger: a.Logger}
	return a.edge.Open(ctx)
}

// way reports why a desktop's name does not lead to it through the edge, or nil.
func (a *app) way(ctx context.Context, name string) error {
	if a.wildcard != nil {
		if err := a.wildcard.there(ctx); err != nil {
			return err
		}
	}
	_, err := a.service.Way(ctx, name)
	return err
}

// sweptRecords is the zone as the sweep sees it. Under direct access a wildcard that gateway access left behind is an orphan.
func (a *app) sweptRecords() dns.Zone {
	if a.wildcard == nil {
		return a.names
	}
	return besideWildcard{a.names, a.wildcard.record.Name}
}

// addAccess adds what serves the listener for desktops.
func (a *app) addAccess(group *rungroup.Group) {
	switch {
	case a.byGateway():
		o := edge.Options{Desktops: a.service, Zone: a.Config.Zone, Logger: a.Logger}
		if a.edge != nil {
			o.GetCertificate = a.edge.Certificate
			group.Add("certificate", a.edge.Run)
		} else {
			o.GetCertificate = a.certs.edge.GetCertificate
		}
		e := edge.New(o)
		group.Add("desktops", func(ctx context.Context) error { return e.Serve(ctx, a.listeners.desktops) })
	case a.listensForDesktops():
		g := gateway.New(gateway.Options{Lookup: a.zone.Lookup, Zone: a.Config.Zone, Logger: a.Logger})
		group.Add("desktops", func(ctx context.Context) error { return g.Serve(ctx, a.listeners.desktops) })
	}
}

// behindEdge is the zone where one wildcard record stands for all desktops: naming one means that the edge knows
// the way to it, and nothing is written. What was written under direct access is the sweep's to remove.
type behindEdge struct {
	dns.Zone
	way func(ctx context.Context, name string) error
}

func (b behindEdge) SetRecords(ctx context.Context, records []dns.Record) error {
	for _, r := range records {
		if err := b.way(ctx, r.Name); err != nil {
			return &dns.RecordError{Name: r.Name, Err: err}
		}
	}
	return nil
}

func (behindEdge) DeleteRecords(context.Context, []string) error { return nil }
