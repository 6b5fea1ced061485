// Package acmecerts gets certificates from an ACME authority such as Let's Encrypt, with the DNS-01 challenge:
// the wildcard of greenroom's own edge, whose key stays in the data directory, and, for small volumes, one
// certificate per desktop for the desktop's own request.
package acmecerts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/logkey"
)

// LetsEncrypt is the directory that is used when none is given.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// Options of an Authority.
type Options struct {
	Dir       string                // of account, edge's certificate and count; made with mode 700
	Files     Files                 // of the same; nil: in Dir
	Issued    Files                 // for ten minutes: certificates that another process ordered; nil: nobody else orders
	Zone      string                // certificates are for names below it
	Directory string                // URL; LetsEncrypt
	Email     string                // contact address for warnings of the authority; may be empty
	EABKeyID  string                // external account, where the authority wants one
	EABKey    string                // its MAC key, base64url
	DNS       certmagic.DNSProvider // writes and removes challenges: libdns.RecordAppender and RecordDeleter
	Resolvers []string              // host:port that are asked for the zone and its challenges; empty: the system's
	Roots     *x509.CertPool        // to trust for the authority and what it signs; nil: the system's
	Limits    *Limits               // nil: what is known of the directory's authority
	Patience  time.Duration         // of Issue before it says certs.ErrPending; 7 s, since agents wait 10 s
	CheckEdge time.Duration         // how often the edge's certificate is looked at, if it lives for hours; 10 min
	RenewLeft float64               // the edge's certificate is renewed when this share of its life is left; 1/3
	Logger    *slog.Logger
}

const (
	orderTimeout = 4 * time.Minute
	maxOrders    = 32               // under way at once
	endMargin    = time.Hour        // after a desktop's end its agent may still ask
	keepResult   = 10 * time.Minute // for an asker that did not get the answer
	keepFailure  = 20 * time.Second // for the same, and so that failures do not follow each other at once
)

// Authority is one account with an ACME authority.
type Authority struct {
	o      Options
	config *certmagic.Config
	acme   *certmagic.ACMEIssuer
	cache  *certmagic.Cache
	budget *budget

	ctx    context.Context // of orders; ends with Close
	stop   context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once

	mu     sync.Mutex
	orders map[[sha256.Size]byte]*order // by key and name
}

// order is one order for a desktop, under way or done.
type order struct {
	done  chan struct{}
	at    time.Time // when it was done
	chain []byte
	err   error
}

var (
	_ certs.Issuer = (*Authority)(nil)
	_ certs.Edge   = (*Authority)(nil)
)

// Open makes an Authority. Nothing is asked of the network before the first certificate is wanted.
func Open(o Options) *Authority {
	o.Directory = cmp.Or(o.Directory, LetsEncrypt)
	o.Patience, o.CheckEdge = cmp.Or(o.Patience, 7*time.Second), cmp.Or(o.CheckEdge, certmagic.DefaultRenewCheckInterval)
	a := &Authority{o: o, orders: map[[sha256.Size]byte]*order{}, budget: openBudget(o)}
	a.ctx, a.stop = context.WithCancel(context.Background())
	logger := zap.New(slogCore{o.Logger})
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		RenewCheckInterval: o.CheckEdge, Logger: logger,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{Storage: o.storage(), RenewalWindowRatio: o.RenewLeft, OnEvent: a.edgeEvent, Logger: logger})
	template := certmagic.ACMEIssuer{
		CA: o.Directory, Email: o.Email, Agreed: true, TrustedRoots: o.Roots, CertObtainTimeout: orderTimeout, Logger: logger,
		DisableHTTPChallenge: true, DisableTLSALPNChallenge: true,
		DNS01Solver: &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{DNSProvider: challenges{o.DNS}, Resolvers: o.Resolvers, Logger: logger}},
	}
	if o.EABKeyID != "" {
		template.ExternalAccount = &acme.EAB{KeyID: o.EABKeyID, MACKey: o.EABKey}
	}
	a.acme = certmagic.NewACMEIssuer(a.config, template)
	a.config.Issuers = []certmagic.Issuer{a.acme}
	return a
}

// openBudget counts each authority by itself.
func openBudget(o Options) *budget {
	limits := limitsOf(o.Directory)
	if o.Limits != nil {
		limits = *o.Limits
	}
	return &budget{kept: o.storage(), limits: limits}
}

func (o Options) storage() certmagic.Storage {
	if o.Files != nil {
		return storage{o.Files}
	}
	return &certmagic.FileStorage{Path: o.Dir}
}

// Close ends the orders under way and the edge's upkeep. It may be called again.
func (a *Authority) Close() {
	a.stop()
	a.wg.Wait()
	a.closed.Do(a.cache.Stop)
}

// Roots are those of the options; nil means the system's.
func (a *Authority) Roots() *x509.CertPool { return a.o.Roots }

// Issue orders a certificate for the names of the request, which must be hostname alone; see certs.Issuer. When
// the authority's limits are used up, nothing is ordered and the error says what to do.
func (a *Authority) Issue(ctx context.Context, request []byte, hostname string, until time.Time) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	csr, err := certs.RequestFor(request, hostname, a.o.Zone)
	if err != nil {
		return nil, err
	}
	if time.Now().After(until.Add(endMargin)) {
		return nil, fmt.Errorf("order for %s: its time is over: %w", hostname, greenroom.ErrEnded)
	}
	if err := certs.OnlyNames(csr, hostname); err != nil {
		return nil, err
	}
	o, err := a.join(csr, hostname)
	if err != nil {
		return nil, err
	}
	patience := time.NewTimer(a.o.Patience)
	defer patience.Stop()
	select {
	case <-o.done:
		return o.chain, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-patience.C:
		return nil, certs.ErrPending
	}
}

// join returns the order of this key for this name, and begins one if there is none.
func (a *Authority) join(csr *x509.CertificateRequest, hostname string) (*order, error) {
	id := sha256.Sum256(append(append([]byte(nil), csr.RawSubjectPublicKeyInfo...), hostname...))
	a.mu.Lock()
	defer a.mu.Unlock()
	underWay := 0
	for id, o := range a.orders {
		if o.at.IsZero() {
			underWay++
		} else if age := time.Since(o.at); age > keepResult || o.err != nil && age > keepFailure {
			delete(a.orders, id)
		}
	}
	if o := a.orders[id]; o != nil {
		return o, nil
	}
	if err := a.ctx.Err(); err != nil {
		return nil, fmt.Errorf("order for %s: %w", hostname, err)
	}
	if underWay >= maxOrders {
		return nil, throttled(fmt.Sprintf("%d certificates are being ordered; the one for %s comes after them.", underWay, hostname), nil)
	}
	o := &order{done: make(chan struct{})}
	a.orders[id] = o
	a.wg.Go(func() { a.fill(o, csr, path.Join(hostname, hex.EncodeToString(id[:]))) })
	return o, nil
}

// fill carries an order out, which others know by its name: host name and key.
func (a *Authority) fill(o *order, csr *x509.CertificateRequest, name string) {
	ctx, cancel := context.WithTimeoutCause(a.ctx, orderTimeout, fmt.Errorf("the order took longer than %s", orderTimeout))
	defer cancel()
	chain, err := a.shared(ctx, csr, name)
	a.mu.Lock()
	defer a.mu.Unlock()
	o.at, o.chain, o.err = time.Now(), chain, err
	close(o.done)
}

// shared orders, unless another process does or did.
func (a *Authority) shared(ctx context.Context, csr *x509.CertificateRequest, name string) (chain []byte, err error) {
	if a.o.Issued == nil {
		return a.order(ctx, csr, path.Dir(name))
	}
	if err := a.o.Issued.Lock(ctx, name); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.o.Issued.Unlock(context.WithoutCancel(ctx), name)) }()
	chain, at, err := a.o.Issued.Load(ctx, name)
	if err == nil && time.Since(at) < keepResult || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return chain, err
	}
	if chain, err = a.order(ctx, csr, path.Dir(name)); err != nil {
		return nil, err
	}
	return chain, a.o.Issued.Store(ctx, name, chain)
}

func (a *Authority) order(ctx context.Context, csr *x509.CertificateRequest, hostname string) ([]byte, error) {
	if err := a.budget.reserve(hostname, time.Now()); err != nil {
		return nil, err
	}
	issued, err := a.acme.Issue(ctx, csr)
	if err != nil {
		err = a.failed(hostname, err)
		a.o.Logger.Error("certificate order failed", logkey.Name, hostname, logkey.Err, err)
		return nil, err
	}
	return issued.Certificate, nil
}

// failed books a failure and puts it into words.
func (a *Authority) failed(name string, cause error) error {
	fault := explain(cause, a.o.Directory, name)
	if err := a.budget.failed(name, fault.validation, time.Now()); err != nil {
		a.o.Logger.Error("count of certificates failed", logkey.Err, err)
	}
	if !fault.hold.IsZero() {
		if err := a.budget.hold(fault.hold); err != nil {
			a.o.Logger.Error("count of certificates failed", logkey.Err, err)
		}
	}
	return fault.err
}

// ManageEdge gets the certificate of greenroom's own edge for name, in the background, and keeps it renewed
// until Close. A certificate of an earlier run serves at once.
func (a *Authority) ManageEdge(name string) error {
	if err := a.config.ManageAsync(a.ctx, []string{name}); err != nil {
		return fmt.Errorf("manage the edge's certificate: %w", err)
	}
	a.wg.Go(func() { a.upkeep(name) })
	return nil
}

// looksPerLife is how often a certificate is looked at while it is good, at least.
const looksPerLife = 24

// upkeep looks more often than the cache does by itself at certificates that live less than some hours: authorities of
// one's own give such ones, and would have them expire between two looks.
func (a *Authority) upkeep(name string) {
	for {
		wait := time.Second // until there is one
		for _, c := range a.cache.AllMatchingCertificates(name) {
			wait = max(wait, min(a.o.CheckEdge, c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)/looksPerLife))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-a.ctx.Done():
			timer.Stop()
			return
		}
		if wait >= a.o.CheckEdge {
			continue // the cache looks itself
		}
		if err := a.cache.RenewManagedCertificates(a.ctx); err != nil && a.ctx.Err() == nil {
			a.o.Logger.Error("the edge's certificate could not be renewed", logkey.Err, err)
		}
	}
}

// GetCertificate is for tls.Config of the edge.
func (a *Authority) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.config.GetCertificate(hello)
}

// edgeEvent keeps the edge within the authority's limits. Renewals are not refused: authorities exempt them.
func (a *Authority) edgeEvent(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	if renewal, _ := data["renewal"].(bool); renewal {
		return nil
	}
	switch event {
	case "cert_obtaining":
		return a.budget.reserve(name, time.Now())
	case "cert_failed":
		cause, _ := data["error"].(error)
		a.o.Logger.Error("the edge has no certificate", logkey.Name, name, logkey.Err, a.failed(name, cause))
	}
	return nil
}

// Allowances tells how much of the authority's limits is left for name, as far as this data directory knows.
// The authority may have been asked from elsewhere, too.
func Allowances(o Options, name string) ([]Allowance, error) {
	o.Directory = cmp.Or(o.Directory, LetsEncrypt)
	return openBudget(o).allowances(name, time.Now())
}
