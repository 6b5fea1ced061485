package gateway

import (
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

// errOtherKey says that what answers at a desktop's address does not have the key that enrolled.
var errOtherKey = errors.New("the key is not the one that enrolled")

// transport connects to desktops. Connections are kept for each pair of desktop and client, because a connection
// begins by saying on whose behalf it comes.
func (g *Gateway) transport() *http.Transport {
	return &http.Transport{
		DialTLSContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return g.dial(ctx, targetOf(ctx)) },
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    4,
		MaxConnsPerHost:        maxPerWay,
		IdleConnTimeout:        20 * time.Second, // an agent ends them after a minute
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ReadBufferSize:         4 << 10,
		WriteBufferSize:        4 << 10,
	}
}

// poolKey is a host name of its own for each desktop and client. It is never looked up.
func poolKey(hostname, client string) string {
	return strings.NewReplacer(":", "-", ".", "-").Replace(client) + "." + hostname
}

// dial connects to the desktop, tells it whom it is for (PROXY protocol, version 2) and insists on its key.
func (g *Gateway) dial(ctx context.Context, t target) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.o.DialTime, errors.New("the desktop did not accept in time"))
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(t.way.Address, uint16(g.o.Port)).String())
	if err != nil {
		return nil, err
	}
	conn := tls.Client(&records{Conn: raw}, pinned(t.way))
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
func introduce(conn net.Conn, t target) error {
	client, err := netip.ParseAddrPort(t.client)
	if err != nil {
		return err
	}
	local, err := netip.ParseAddrPort(t.local)
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
// narrower than any authority's word, and goes on through the desktop's renewals.
func pinned(w meetings.Way) *tls.Config {
	return &tls.Config{
		ServerName: w.Hostname, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: true, // the authority is not asked, because VerifyConnection knows the key itself
		VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if !greenroom.SameSecret(w.KeyHash, hex.EncodeToString(sum[:])) {
				return errOtherKey
			}
			return nil
		},
	}
}
