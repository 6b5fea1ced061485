package server

import (
	"context"

	"greenroom/internal/app/components"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/config"
	"greenroom/internal/dns/embeddeddns"
	"greenroom/internal/probe"
	"greenroom/internal/rungroup"
)

// openZone opens the zone that this process serves itself.
func (a *app) openZone(ctx context.Context, owner string) (components.OwnZone, error) {
	var err error
	a.zone, err = embeddeddns.Open(ctx, a.zoneOptions(owner))
	return a.zone, err
}

// probing is the way to desktops as far as it leads through our listeners.
func (a *app) probing() probe.Options {
	o := probe.Options{NameAddress: a.gatewayAddress(), Port: a.desktopPort()}
	if a.listensForDesktops() {
		o.DesktopAddr = a.listeners.desktops.Addr().String()
	}
	if a.bySingle() {
		o.Front = a.front()
	}
	if a.listeners.dnsTCP != nil {
		o.DNSServers = []string{a.listeners.dnsTCP.Addr().String()}
	}
	return o
}

// askOurselves makes ACME look at our own zone: it knows of a challenge first, and is asked without a detour.
func (a *app) askOurselves(o *acmecerts.Options) {
	o.Resolvers = []string{a.listeners.dnsTCP.Addr().String()}
}

// embedded reports whether this process serves the zone.
func (a *app) embedded() bool { return a.Config.DNS.Provider == config.DNSEmbedded }

// serveNames adds what answers for the names, or what writes them.
func (a *app) serveNames(group *rungroup.Group) {
	if a.zone == nil {
		group.Add("names", a.core.Batch.Run)
		return
	}
	if a.listeners.dnsTCP != nil {
		group.Add("zone", func(ctx context.Context) error { return a.zone.Serve(ctx, a.listeners.dnsUDP, a.listeners.dnsTCP) })
	}
	if a.replicas != nil {
		group.Add("reload names", a.replicas.reloadNames)
	}
}
