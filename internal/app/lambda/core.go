package lambda

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/app/components"
	"greenroom/internal/certs"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/cloudflareorigin"
	"greenroom/internal/certs/localca"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/dns"
	"greenroom/internal/dns/batch"
	"greenroom/internal/meetings"
	"greenroom/internal/probe"
	"greenroom/internal/store/dynamostore"
)

// Times of a life without processes.
const (
	// lease is how long a meeting waits when the function that moves it dies. Its renewal, in the middle, is a save and a
	// message: most effects are over before.
	lease = 10 * time.Second
	// ordering is how long a certificate is waited for: a function that has answered stands still.
	ordering = 50 * time.Second
)

// core is what moves meetings.
type core struct {
	zone      dns.Zone
	providers map[greenroom.Provider]compute.Provider
	advancer  *advance.Advancer
	authority authority
	service   *meetings.Service
	saved     *saved
}

// authority is who signs for desktops.
type authority struct {
	issuer certs.Issuer
	roots  *x509.CertPool // whom to trust for what browsers see
	local  []byte         // PEM of the local authority; nil if it is another
}

// openCore reads what the table keeps of this greenroom and makes the parts. Zone and authority may read their secrets.
func (f *Functions) openCore(ctx context.Context) (*core, error) {
	cfg := f.Config
	var owner, master string
	var reads errgroup.Group
	reads.Go(func() (err error) { owner, err = f.store.Setting(ctx, "owner", greenroom.NewMeetingID()); return err })
	reads.Go(func() (err error) {
		master, err = f.store.Setting(ctx, "master_key", greenroom.NewSecret())
		return err
	})
	if err := reads.Wait(); err != nil {
		return nil, fmt.Errorf("read who this greenroom is: %w", err)
	}
	named, err := components.OpenZone(ctx, cfg, owner, f.secrets)
	if err != nil {
		return nil, err
	}
	machines, err := components.EC2(ctx, cfg, owner)
	if err != nil {
		return nil, err
	}
	machines.Logger = f.Logger
	identify, err := components.Identifier(cfg)
	if err != nil {
		return nil, err
	}
	c := &core{providers: map[greenroom.Provider]compute.Provider{greenroom.ProviderEC2: ec2compute.New(machines)}, saved: &saved{Store: f.store}}
	if c.authority, err = f.openAuthority(ctx, named); err != nil {
		return nil, err
	}
	gathered := batch.New(named)
	go func() { _ = gathered.Run(context.Background()) }() // it stands still with the sandbox, and goes with it
	c.zone = gathered
	c.advancer = &advance.Advancer{
		Meetings: c.saved, Providers: c.providers, Records: c.zone, Zone: cfg.Zone, Now: time.Now, Logger: f.Logger, Prober: f.prober(c.authority.roots),
		Told: true, Rarely: true, Lease: lease,
	}
	public := f.public()
	c.service = meetings.New(meetings.Options{
		MaxSeats: min(cfg.MaxSeats, dynamostore.MaxSeats),
		Store:    f.store, Blueprints: cfg.Blueprints, Kick: func(string) {}, // the stream follows every save
		Explainer: c.advancer, Issuer: c.authority.issuer, Keys: meetings.Keys{Master: []byte(master)},
		Links:  meetings.Links{PublicURL: public, ControlURL: f.control(), VideoURL: cfg.VideoURL, DesktopPort: f.port(), Zone: cfg.Zone},
		Logger: f.Logger, Identify: identify, Account: accountOf(cfg.Serverless.QueueARN),
	})
	c.advancer.UserData = c.service.UserData
	return c, nil
}

// control is where desktops reach the API.
func (f *Functions) control() string { return orElse(f.Config.ControlURL, f.public()) }

func orElse(url, other string) string {
	if url == "" {
		return other
	}
	return strings.TrimRight(url, "/")
}

// accountOf is the account in an ARN: arn:aws:sqs:region:account:name.
func accountOf(arn string) string {
	const place = 4
	if fields := strings.Split(arn, ":"); len(fields) > place {
		return fields[place]
	}
	return ""
}

func (f *Functions) port() int {
	if f.Config.DesktopPort != 0 {
		return f.Config.DesktopPort
	}
	return greenroom.DesktopPort
}

func (f *Functions) prober(roots *x509.CertPool) *probe.Prober {
	o := probe.Options{Port: f.port(), Roots: roots, DNSServers: f.Config.DNS.Servers, Resolver: f.Config.DNS.Resolver, Proxied: f.Config.DNS.Proxied}
	if len(o.DNSServers) == 0 {
		o.Servers = probe.NewDelegation(f.Config.Zone).Servers
	}
	return probe.New(o)
}

// openAuthority opens who signs for desktops. What others keep on a disk is in the table.
func (f *Functions) openAuthority(ctx context.Context, texts dns.Texts) (a authority, err error) {
	cfg := f.Config.Certificates
	roots, err := components.Roots(cfg.RootsFile)
	if err != nil {
		return a, err
	}
	switch cfg.Issuer {
	case "acme":
		a.issuer, err = f.openACME(ctx, roots, texts)
	case "cloudflare-origin":
		a.issuer, err = f.openOrigin(ctx, roots)
	default:
		var local *localca.Authority
		local, err = localca.Kept(func(text string) (string, error) { return f.store.Setting(ctx, "local_authority", text) }, f.Config.Zone)
		if err == nil {
			a.issuer, a.local = local, local.RootPEM()
		}
	}
	if err != nil {
		return a, err
	}
	if a.roots = a.issuer.Roots(); f.Config.DNS.Proxied { // browsers see the proxy's certificate
		a.roots, err = components.RootsAndSystem(cfg.RootsFile)
	}
	return a, err
}

func (f *Functions) openACME(ctx context.Context, roots *x509.CertPool, texts dns.Texts) (certs.Issuer, error) {
	key, err := f.secrets.Open(ctx, "certificates.eab_key", f.Config.Certificates.EABKey.Reveal())
	if err != nil {
		return nil, err
	}
	o := components.ACME(f.Config, roots)
	if o.EABKey, err = key.Get(ctx); err != nil {
		return nil, err
	}
	o.Files, o.Issued = f.store.Files("acme", 0), f.store.Files("issued", time.Hour)
	o.DNS, o.Logger, o.Patience = dns.Challenges{Texts: texts}, f.Logger, ordering
	return acmecerts.Open(o), nil
}

func (f *Functions) openOrigin(ctx context.Context, roots *x509.CertPool) (certs.Issuer, error) {
	token, err := f.secrets.Open(ctx, "certificates.token", f.Config.Certificates.Token.Reveal())
	if err != nil {
		return nil, err
	}
	o := components.Origin(f.Config, roots)
	o.Token, o.Refused, o.Logger = token.Get, token.Refused, f.Logger
	return cloudflareorigin.Open(o)
}

// saved is the store as passes see it. It notices whether something is launched.
type saved struct {
	Store
	launches atomic.Bool
}

// Store is what passes need of the table.
type Store interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error)
}

// Update implements Store.
func (s *saved) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	m, err := s.Store.Update(ctx, m, events)
	for i := range m.Seats {
		if m.Seats[i].Desktop.Phase == greenroom.Launching {
			s.launches.Store(true)
		}
	}
	return m, err
}
