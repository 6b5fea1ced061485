package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"greenroom"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/config"
	"greenroom/internal/httpx"
)

// listeners are opened before anything else is touched, so that a port in use changes nothing.
type listeners struct {
	http, desktops, dnsTCP net.Listener
	plain                  net.Listener // that leads to HTTPS; nil without
	dnsUDP                 net.PacketConn
}

// Listens are the addresses on which a server with this configuration listens for browsers on their way to desktops, and for
// questions to its zone; empty if it does not: browsers connect to the desktops themselves or to listen, or somebody else serves the zone.
func Listens(cfg config.Config) (desktops, names string) {
	switch {
	case cfg.Access == config.AccessSingle:
		return "", ""
	case cfg.DNS.Provider == config.DNSEmbedded:
		return cfg.DesktopListen, cfg.DNSListen
	case cfg.Access == config.AccessGateway:
		return cfg.DesktopListen, ""
	}
	return "", ""
}

func listen(ctx context.Context, cfg config.Config) (*listeners, error) {
	var l listeners
	var lc patientListen
	var err error
	if l.http, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, taken("listen", cfg.Listen, err)
	}
	if cfg.TLS.HTTPListen != "" {
		if l.plain, err = lc.Listen(ctx, "tcp", cfg.TLS.HTTPListen); err != nil {
			l.close()
			return nil, taken("tls.http_listen", cfg.TLS.HTTPListen, err)
		}
	}
	desktops, names := Listens(cfg)
	if desktops != "" {
		if l.desktops, err = lc.Listen(ctx, "tcp", cfg.DesktopListen); err != nil {
			l.close()
			return nil, taken("desktop_listen", cfg.DesktopListen, err)
		}
	}
	if names == "" {
		return &l, nil
	}
	if l.dnsTCP, err = lc.Listen(ctx, "tcp", cfg.DNSListen); err != nil {
		l.close()
		return nil, taken("dns_listen", cfg.DNSListen, err)
	}
	if l.dnsUDP, err = lc.ListenPacket(ctx, "udp", l.dnsTCP.Addr().String()); err != nil {
		l.close()
		return nil, taken("dns_listen", cfg.DNSListen, err)
	}
	return &l, nil
}

// An address may still be held for a moment by a server that was killed: a program that it was about to start has its sockets
// until it runs.
const (
	heldFor    = 2 * time.Second
	heldBefore = 50 * time.Millisecond // between two tries
)

// patientListen listens as net.ListenConfig does, and tries again for a moment when the address is in use.
type patientListen struct{ net.ListenConfig }

// Listen is net.ListenConfig's.
func (p *patientListen) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	for end := time.Now().Add(heldFor); ; {
		l, err := p.ListenConfig.Listen(ctx, network, address)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(end) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(heldBefore):
		}
	}
}

// Bounds of the connections to the pages and the API.
const (
	maxConns   = 4096
	maxPerHost = 512  // of one IPv4 address or IPv6 network of 64 bits, proxies aside
	reserved   = 1024 // for those who showed a right link or token
	headerTime = 10 * time.Second
)

// guarded is the listener of pages and API whose connections have places: strangers make way. From a trusted proxy a PROXY header
// is believed.
func (a *app) guarded() net.Listener {
	l := a.places(a.listeners.http, a.Config.Proxies(), a.pool)
	if a.tls == nil {
		return l
	}
	return newMixed(l, a.tls.config())
}

func newPool() *connlimit.Pool {
	return connlimit.NewPool(connlimit.Limits{All: maxConns, Each: maxPerHost, Reserve: reserved})
}

func (a *app) places(on net.Listener, proxies httpx.Proxies, pool *connlimit.Pool) net.Listener {
	l := &connlimit.Listener{Listener: on, Pool: pool}
	if len(proxies) > 0 {
		l.Proxies = true
		l.Listener = &proxyproto.Listener{Listener: l.Listener, ReadHeaderTimeout: headerTime, ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if proxies.TrustsAddr(o.Upstream) {
				return proxyproto.USE, nil
			}
			return proxyproto.SKIP, nil
		}}
	}
	return l
}

func (l *listeners) close() {
	for _, c := range []net.Listener{l.http, l.plain, l.desktops, l.dnsTCP} {
		if c != nil {
			_ = c.Close() // whoever served on it may have closed it already
		}
	}
	if l.dnsUDP != nil {
		_ = l.dnsUDP.Close()
	}
}

// taken says which setting asks for an address that cannot be had, and what to do.
func taken(key, address string, err error) error {
	message := fmt.Sprintf("Cannot listen on %s (%s): %v.", address, key, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		message = fmt.Sprintf("Cannot listen on %s (%s): another program uses that port, perhaps another greenroom. Stop it, or choose another address for %s.", address, key, key)
	case errors.Is(err, syscall.EACCES):
		message = fmt.Sprintf("Cannot listen on %s (%s): this user may not use that port. Choose one above 1023.", address, key)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		message = fmt.Sprintf("Cannot listen on %s (%s): this machine has no such address.", address, key)
	}
	return &greenroom.UserError{Message: message, Cause: err}
}
