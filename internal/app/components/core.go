package components

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/localca"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/config"
	"greenroom/internal/dns"
	"greenroom/internal/dns/batch"
	"greenroom/internal/meetings"
	"greenroom/internal/plan"
	"greenroom/internal/probe"
	"greenroom/internal/secrets"
	"greenroom/internal/store"
)

// Ports are what a Core is built on: all in which a server and functions differ. Fields without a comment that says otherwise are
// required.
type Ports struct {
	Config  config.Config
	Logger  *slog.Logger
	Store   Store
	Secrets *secrets.Store
	Account Account
	Kick    func(meetingID string) // asks for Advance soon; a hint

	PublicURL, ControlURL string // where people and desktops reach this greenroom; without a final slash

	Zone      func(ctx context.Context, owner string) (OwnZone, error) // opens the zone that this process serves; nil: dns.provider's
	Local     compute.Provider                                         // desktops on this machine; nil: none
	Authority func(ctx context.Context) (*localca.Authority, error)    // opens the local authority where it is kept
	ACME      func(o *acmecerts.Options)                               // says where accounts and certificates are kept; nil: in the data directory

	// Probe says what only the process knows of the way to desktops: the port that browsers use, and the addresses of its own
	// listeners. The configuration adds the rest.
	Probe probe.Options

	// See advance.Advancer. The zero values are a server's.
	PushEvents, ObserveOnDemand bool
	Lease                       time.Duration
	Measure                     func(do plan.Verb, took time.Duration, err error)
	Watch                       Watch
}

// Store is what a Core needs of the database.
type Store interface {
	store.Store
	Setting(ctx context.Context, name, fresh string) (string, error)
}

// OwnZone is a zone with its texts.
type OwnZone interface {
	dns.Zone
	dns.Texts
}

// Core is what greenroom is anywhere: it moves meetings and answers what people and desktops ask for.
type Core struct {
	Owner        string      // marks our machines and records
	Zone         dns.Zone    // where desktops are named
	Batch        *batch.Zone // the same, if dns.provider keeps it: it writes while its Run runs; else nil
	Providers    map[greenroom.Provider]compute.Provider
	Certificates *Certificates
	Prober       *probe.Prober
	Advancer     *advance.Advancer
	Service      *meetings.Service
}

// Open builds a Core, each part from those before it. It reads owner and master key from the store, or makes them; it may read
// secrets. It calls no provider. The caller closes Certificates.
func Open(ctx context.Context, p Ports) (*Core, error) {
	c := &Core{}
	master, err := c.openIdentity(ctx, p.Store)
	if err != nil {
		return nil, err
	}
	texts, err := c.openZone(ctx, &p)
	if err != nil {
		return nil, err
	}
	identify, err := Identifier(p.Config)
	if err != nil {
		return nil, err
	}
	machines, err := c.openProviders(ctx, &p)
	if err != nil {
		return nil, err
	}
	if c.Certificates, err = p.openCertificates(ctx, texts); err != nil {
		return nil, err
	}
	c.Prober = p.prober(c.Certificates)
	p.Watch.providers(c.Providers)
	c.Advancer = &advance.Advancer{
		Meetings: p.Store, Providers: c.Providers, Records: c.Zone, Prober: c.Prober, Zone: p.Config.Zone, Now: time.Now, Logger: p.Logger,
		PushEvents: p.PushEvents, ObserveOnDemand: p.ObserveOnDemand, Lease: p.Lease, Live: p.Store.Live, Measure: p.Measure, Observe: p.Watch.decisions(),
	}
	c.Service = meetings.New(meetings.Options{
		MaxSeats: p.Config.MaxSeats,
		Store:    p.Watch.requests(p.Store), Blueprints: p.Config.Blueprints, Kick: p.Kick, Explainer: c.Advancer,
		Issuer: p.Watch.issuer(p.Config.Certificates.Issuer, c.Certificates.Issuer),
		Keys:   meetings.Keys{Master: []byte(master)},
		Links:  meetings.Links{PublicURL: p.PublicURL, ControlURL: p.ControlURL, VideoURL: p.Config.VideoURL, DesktopPort: p.Probe.Port, Zone: p.Config.Zone, Single: p.Config.Access == config.AccessSingle},
		Logger: p.Logger, ProofWait: meetings.UsualProofWait, Identify: identify, Account: accountOf(p.Config, machines),
	})
	c.Advancer.UserData = c.Service.UserData
	return c, nil
}

func (c *Core) openIdentity(ctx context.Context, store Store) (master string, err error) {
	var reads errgroup.Group
	reads.Go(func() (err error) { c.Owner, err = store.Setting(ctx, "owner", greenroom.NewMeetingID()); return err })
	reads.Go(func() (err error) { master, err = store.Setting(ctx, "master_key", greenroom.NewSecret()); return err })
	if err := reads.Wait(); err != nil {
		return "", fmt.Errorf("read owner and master key: %w", err)
	}
	return master, nil
}

// openZone opens the zone that desktops are named in, and returns where proofs of control over it are shown.
func (c *Core) openZone(ctx context.Context, p *Ports) (dns.Texts, error) {
	if p.Zone != nil {
		zone, err := p.Zone(ctx, c.Owner)
		if err != nil {
			return nil, fmt.Errorf("open zone: %w", err)
		}
		c.Zone = p.Watch.ownZone(p.Config.DNS.Provider, zone)
		return zone, nil
	}
	provider, err := OpenZone(ctx, p.Config, p.Account, c.Owner, p.Secrets)
	if err != nil {
		return nil, err
	}
	c.Batch = batch.New(p.Watch.dnsProvider(p.Config.DNS.Provider, provider))
	c.Zone = p.Watch.batched(p.Config.DNS.Provider, c.Batch)
	return provider, nil
}

// openProviders opens those that blueprints name. EC2 is also opened where its region is configured: meetings that were scheduled
// with a blueprint that is no more need it still. It is returned, nil if nothing needs it.
func (c *Core) openProviders(ctx context.Context, p *Ports) (*ec2compute.Provider, error) {
	c.Providers = map[greenroom.Provider]compute.Provider{}
	if p.Local != nil {
		c.Providers[greenroom.ProviderLocal] = p.Local
	}
	used := slices.ContainsFunc(p.Config.Blueprints, func(b greenroom.Blueprint) bool { return b.Provider == greenroom.ProviderEC2 })
	if !used && p.Config.AWS.Region == "" {
		return nil, nil //nolint:nilnil // no machine is on EC2
	}
	o, err := EC2(ctx, p.Config, p.Account, c.Owner, p.Logger)
	if err != nil {
		return nil, err
	}
	machines := ec2compute.New(o)
	c.Providers[greenroom.ProviderEC2] = machines
	return machines, nil
}

// prober asks this process's own name server if it is one, and otherwise every server that is configured or that the zone is
// delegated to.
func (p *Ports) prober(c *Certificates) *probe.Prober {
	o := p.Probe
	o.Roots = c.Shown
	if len(o.DNSServers) > 0 || o.Front != nil {
		return probe.New(o)
	}
	o.DNSServers, o.Resolver, o.Proxied = p.Config.DNS.Servers, p.Config.DNS.Resolver, p.Config.DNS.Proxied
	if len(o.DNSServers) == 0 {
		o.Servers = probe.NewDelegation(p.Config.Zone).Servers
	}
	return probe.New(o)
}

// accountOf tells the AWS account of machines: the one of the queue, where there are functions, and otherwise what EC2 says of the
// machines.
func accountOf(cfg config.Config, machines *ec2compute.Provider) func() string {
	const place = 4 // arn:aws:sqs:region:account:name
	if fields := strings.Split(cfg.Serverless.QueueARN, ":"); len(fields) > place {
		return func() string { return fields[place] }
	}
	if machines != nil {
		return machines.Account
	}
	return nil
}
