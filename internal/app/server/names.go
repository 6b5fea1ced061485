package server

import (
	"context"
	"fmt"

	"greenroom/internal/app/components"
	"greenroom/internal/dns/batch"
	"greenroom/internal/dns/embeddeddns"
	"greenroom/internal/probe"
	"greenroom/internal/rungroup"
)

// openNames opens the zone that desktops are named in: the embedded one, or a provider's behind batches.
func (a *app) openNames(ctx context.Context, owner string) error {
	if a.Config.DNS.Provider == "embedded" {
		return a.openZone(ctx, owner)
	}
	provider, err := components.OpenZone(ctx, a.Config, owner, a.secrets)
	if err != nil {
		return err
	}
	a.batch = batch.New(a.watch.dnsProvider(a.Config.DNS.Provider, provider))
	a.names, a.texts = a.batch, provider
	return nil
}

func (a *app) openZone(ctx context.Context, owner string) error {
	var err error
	a.zone, err = embeddeddns.Open(ctx, a.zoneOptions(owner))
	if err != nil {
		return fmt.Errorf("open zone: %w", err)
	}
	a.names, a.texts = a.zone, a.zone
	return nil
}

// prober asks our own server of an embedded zone, and of any other every server that is configured or that it is delegated to; then it connects
// to the listener for desktops, or, where there is none in between, to the desktop itself.
func (a *app) prober() *probe.Prober {
	o := probe.Options{NameAddress: a.gatewayAddress(), Port: a.desktopPort(), Roots: a.certs.shown()}
	if a.Config.DNS.Proxied { // browsers see the proxy's certificate
		o.Roots = a.certs.behindProxy
	}
	if a.listensForDesktops() {
		o.DesktopAddr = a.listeners.desktops.Addr().String()
	}
	if a.zone != nil {
		o.DNSServers = []string{a.listeners.dnsTCP.Addr().String()}
		return probe.New(o)
	}
	o.DNSServers, o.Resolver, o.Proxied = a.Config.DNS.Servers, a.Config.DNS.Resolver, a.Config.DNS.Proxied
	if len(o.DNSServers) == 0 {
		o.Servers = probe.NewDelegation(a.Config.Zone).Servers
	}
	return probe.New(o)
}

// serveNames adds what answers for the names, or what writes them.
func (a *app) serveNames(group *rungroup.Group) {
	if a.zone == nil {
		group.Add("names", a.batch.Run)
		return
	}
	group.Add("zone", func(ctx context.Context) error { return a.zone.Serve(ctx, a.listeners.dnsUDP, a.listeners.dnsTCP) })
	if a.replicas != nil {
		group.Add("reload names", a.replicas.reloadNames)
	}
}
