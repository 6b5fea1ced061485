package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"greenroom/internal/app/components"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/filecerts"
	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/httpx"
)

// pageTLS is TLS for pages and API.
type pageTLS struct {
	get    func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	hsts   bool                            // browsers trust the certificate without more, and will
	own    *localca.Pages                  // whose authority people have to trust; nil: nothing is to be trusted
	roots  *x509.CertPool                  // who signed the certificate, unless it is own; nil: the system's authorities
	files  *filecerts.Edge                 // nil: there are none
	answer func(http.Handler) http.Handler // of HTTP-01; nil: there is none
	close  func()
}

// openTLS opens the certificate of pages and API; nil without one.
func (a *app) openTLS() (*pageTLS, error) {
	cfg, dir := a.Config.TLS, filepath.Join(a.Config.DataDir, "pages")
	switch cfg.Issuer {
	case config.IssuerLocal:
		local, err := localca.OpenPages(dir, a.Config.TLSNames())
		if err != nil {
			return nil, err
		}
		return &pageTLS{get: local.GetCertificate, own: local}, nil
	case config.IssuerFiles:
		files, err := filecerts.Open(filecerts.Options{ChainFile: cfg.ChainFile, KeyFile: cfg.KeyFile, Section: "tls", Hostname: a.Config.TLSNames()[0], Logger: a.Logger})
		if err != nil {
			return nil, err
		}
		return &pageTLS{get: files.GetCertificate, hsts: true, files: files}, nil
	case config.IssuerACME:
		roots, err := components.Roots(cfg.RootsFile)
		if err != nil {
			return nil, err
		}
		o := acmecerts.PagesOptions{Dir: dir, Names: a.Config.TLSNames(), Directory: cfg.DirectoryURL, Email: cfg.Email, Roots: roots, Logger: a.Logger}
		listen, _ := a.listeners.http.Addr().(*net.TCPAddr)
		o.TLSPort = listen.Port
		if !listen.IP.IsUnspecified() {
			o.Host = listen.IP.String()
		}
		if a.listeners.plain != nil {
			o.HTTPPort = a.listeners.plain.Addr().(*net.TCPAddr).Port
		}
		pages, err := acmecerts.OpenPages(o)
		if err != nil {
			return nil, fmt.Errorf("get the pages' certificate: %w", err)
		}
		shown, err := components.RootsAndSystem(cfg.RootsFile)
		if err != nil {
			return nil, err
		}
		return &pageTLS{get: pages.GetCertificate, hsts: true, roots: shown, answer: pages.Challenges, close: pages.Close}, nil
	}
	return nil, nil //nolint:nilnil // plain HTTP
}

// trusted are the authorities to trust for the certificate; nil: the system's.
func (p *pageTLS) trusted() *x509.CertPool {
	if p.own == nil {
		return p.roots
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.own.RootPEM())
	return roots
}

func (p *pageTLS) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.get, NextProtos: []string{"h2", "http/1.1", acmecerts.ALPN}}
}

// secured answers over TLS. In plain HTTP it answers this machine and trusted proxies as before, because the agents of local desktops
// come so; it leads others to public_url.
func (a *app) secured(next http.Handler) http.Handler {
	if a.tls == nil {
		return next
	}
	public, proxies := a.Config.Public(a.listeners.http.Addr()), httpx.Proxies(a.Config.Proxies())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		switch {
		case r.TLS != nil:
			if a.tls.hsts {
				w.Header().Set("Strict-Transport-Security", "max-age=31536000")
			}
		case !peer.Addr().Unmap().IsLoopback() && !proxies.Trusts(peer.Addr()):
			lead(w, r, public)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// lead sends a browser to the same page by HTTPS. What could change something was sent in the clear already and is refused.
func lead(w http.ResponseWriter, r *http.Request, public string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		httpx.Forbidden.Problem("This server speaks HTTPS: use " + public + ". What you sent went over the network without protection; make a new token or link if it held one.").Write(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, public+r.URL.RequestURI(), http.StatusPermanentRedirect)
}

// servePlain leads from plain HTTP to HTTPS, shows the local authority to those who do not trust it yet, and answers HTTP-01.
func (a *app) servePlain(ctx context.Context) error {
	public := a.Config.Public(a.listeners.http.Addr())
	mux := http.NewServeMux()
	if a.tls.own != nil {
		mux.HandleFunc("GET /ca.pem", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-pem-file")
			_, _ = w.Write(a.tls.own.RootPEM()) // the client has gone if this fails
		})
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { trustPage(w, public) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { lead(w, r, public) })
	var handler http.Handler = mux
	if a.tls.answer != nil {
		handler = a.tls.answer(mux)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: headerTime, IdleTimeout: headerTime, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(a.Logger.Handler(), slog.LevelDebug)}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(a.places(a.listeners.plain, nil, newPool())); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// mixed accepts TLS and plain HTTP on one port, told apart by the first byte.
type mixed struct {
	net.Listener
	config *tls.Config

	start sync.Once
	conns chan net.Conn
	ended chan struct{}
	err   error
}

func newMixed(l net.Listener, config *tls.Config) *mixed {
	return &mixed{Listener: l, config: config, conns: make(chan net.Conn), ended: make(chan struct{})}
}

// acceptAgain is the pause after a connection could not be accepted.
const acceptAgain = 10 * time.Millisecond

// Accept returns the next connection that has said something.
func (m *mixed) Accept() (net.Conn, error) {
	m.start.Do(func() { go m.listen() })
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.ended:
		return nil, m.err
	}
}

func (m *mixed) listen() {
	defer close(m.ended)
	for {
		conn, err := m.Listener.Accept()
		if t, ok := errors.AsType[interface {
			error
			Temporary() bool
		}](err); ok && t.Temporary() { // no file is left: some will be when others end
			<-time.After(acceptAgain)
			continue
		}
		if err != nil {
			m.err = err
			return
		}
		go m.sort(conn)
	}
}

// sort looks at the first byte: a TLS record of a handshake begins with 22, and no request does.
func (m *mixed) sort(conn net.Conn) {
	const handshake = 22
	p := &peeked{Conn: conn, r: bufio.NewReaderSize(conn, 512)}
	_ = conn.SetReadDeadline(time.Now().Add(headerTime))
	first, err := p.r.Peek(1)
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close()
		return
	}
	out := net.Conn(p)
	if first[0] == handshake {
		out = tls.Server(p, m.config)
	}
	select {
	case m.conns <- out:
	case <-m.ended:
		_ = conn.Close()
	}
}

// peeked is a connection of which a byte was read ahead.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// NetConn is the connection as it was accepted.
func (p *peeked) NetConn() net.Conn { return p.Conn }
