package acmecerts

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// PagesOptions say how the certificate of a web server is got from an ACME authority that connects to the server itself.
type PagesOptions struct {
	Dir       string   // of account, certificates and keys; made with mode 700
	Names     []string // one certificate for each
	Directory string   // URL; LetsEncrypt
	Email     string   // contact address for warnings of the authority; may be empty
	Roots     *x509.CertPool
	Host      string // that the server listens on, empty for every address
	TLSPort   int    // that the server listens on for TLS
	HTTPPort  int    // that it listens on for plain HTTP; 0: it does not, and HTTP-01 is not offered
	Logger    *slog.Logger
}

// Pages are the certificates of a web server, got by TLS-ALPN-01 or HTTP-01 and renewed until Close. The authority connects to port 443
// or 80, which must lead to the server's.
type Pages struct {
	config *certmagic.Config
	acme   *certmagic.ACMEIssuer
	cache  *certmagic.Cache
	stop   context.CancelFunc
}

// ALPN is the protocol in which TLS-ALPN-01 is answered: it must be among the server's.
const ALPN = "acme-tls/1"

// OpenPages begins to get the certificates, in the background: the server must listen first, because the authority looks. Those of an
// earlier run serve at once.
func OpenPages(o PagesOptions) (*Pages, error) {
	p := &Pages{}
	logger := zap.New(slogCore{o.Logger})
	p.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return p.config, nil }, Logger: logger,
	})
	p.config = certmagic.New(p.cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: o.Dir}, Logger: logger})
	p.acme = certmagic.NewACMEIssuer(p.config, certmagic.ACMEIssuer{
		CA: cmp.Or(o.Directory, LetsEncrypt), Email: o.Email, Agreed: true, TrustedRoots: o.Roots, CertObtainTimeout: orderTimeout, Logger: logger,
		ListenHost: o.Host, AltTLSALPNPort: o.TLSPort, AltHTTPPort: o.HTTPPort, DisableHTTPChallenge: o.HTTPPort == 0,
	})
	p.config.Issuers = []certmagic.Issuer{p.acme}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	if err := p.config.ManageAsync(ctx, o.Names); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// GetCertificate is for tls.Config.
func (p *Pages) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.config.GetCertificate(hello)
}

// Challenges answers HTTP-01 and leaves everything else to next.
func (p *Pages) Challenges(next http.Handler) http.Handler { return p.acme.HTTPChallengeHandler(next) }

// Close ends what is under way.
func (p *Pages) Close() {
	p.stop()
	p.cache.Stop()
}
