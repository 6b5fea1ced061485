// Package backend is how greenroom's own listeners reach desktops: each connection says for whom it is and insists on the key
// that the desktop enrolled with, and WebSockets go on without their request.
package backend

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/access"
	"greenroom/internal/meetings"
)

// ErrOtherKey says that what answers at a desktop's address does not have the key that enrolled.
var ErrOtherKey = errors.New("the key is not the one that enrolled")

// MaxPerTarget is how many connections there may be to one desktop on behalf of one client, WebSockets aside.
const MaxPerTarget = 32

// Target is a desktop and for whom a request goes there.
type Target struct {
	Way    meetings.Way
	Client string // address and port of the participant
	Local  string // that the participant connected to
}

type targetKey struct{}

// With returns a context for a request to t. Requests through a Transport need it.
func With(ctx context.Context, t Target) context.Context {
	return context.WithValue(ctx, targetKey{}, t)
}

// Options of a Transport. Zero values stand for the defaults.
type Options struct {
	Port     int           // of the desktops; 8443
	DialTime time.Duration // until the desktop must have accepted and proved its key; 5 s
}

// Transport connects to desktops. Connections are kept for each pair of desktop and client, because a connection
// begins by saying on whose behalf it comes: the host of a request's URL must be Host of its target.
func Transport(o Options) *http.Transport {
	o.Port = cmp.Or(o.Port, greenroom.DesktopPort)
	o.DialTime = cmp.Or(o.DialTime, 5*time.Second)
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return o.dial(ctx, ctx.Value(targetKey{}).(Target)) //nolint:forcetypeassert // see With
		},
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    4,
		MaxConnsPerHost:        MaxPerTarget,
		IdleConnTimeout:        20 * time.Second, // an agent ends them after a minute
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ReadBufferSize:         4 << 10,
		WriteBufferSize:        4 << 10,
	}
}

// Host is a host name of its own for each desktop and client address. It is never looked up.
func Host(hostname, client string) string {
	return strings.NewReplacer(":", "-", ".", "-").Replace(client) + "." + hostname
}

// dial connects to the desktop, tells it whom it is for (PROXY protocol, version 2) and insists on its key.
func (o Options) dial(ctx context.Context, t Target) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.DialTime, errors.New("the desktop did not accept in time"))
	defer cancel()
	raw, err := access.Dial(ctx, t.Way.Addresses, o.Port)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(&records{Conn: raw}, pinned(t.Way))
	if err = introduce(raw, t); err == nil {
		err = conn.HandshakeContext(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("connect to desktop: %w", err)
	}
	return conn, nil
}

// introduce says who the participant is.
func introduce(conn net.Conn, t Target) error {
	client, err := netip.ParseAddrPort(t.Client)
	if err != nil {
		return err
	}
	local, err := netip.ParseAddrPort(t.Local)
	if err != nil {
		return err
	}
	header, err := access.Header(net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(local))
	if err == nil {
		_, err = conn.Write(header)
	}
	return err
}

// pinned accepts one public key, whatever certificate it comes in: the one that the desktop enrolled with. That is
// narrower than trust in any authority, and goes on through the desktop's renewals.
func pinned(w meetings.Way) *tls.Config {
	return &tls.Config{
		ServerName: w.Hostname, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: true, // the authority is not asked, because VerifyConnection knows the key itself
		VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if !greenroom.SameSecret(w.KeyHash, hex.EncodeToString(sum[:])) {
				return ErrOtherKey
			}
			return nil
		},
	}
}
