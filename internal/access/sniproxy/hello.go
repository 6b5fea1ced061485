package sniproxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// maxHello bounds the first message: 16 KiB, and the heads of the records it may be cut into.
const maxHello = 16<<10 + 512

var errEnough = errors.New("server name read")

// readHello reads as far as the end of the client's first message. It returns all that was read, which the
// desktop has to be told, and the server name, "" if there is none.
func readHello(ctx context.Context, client net.Conn, timeout time.Duration) (said []byte, name string, err error) {
	if err := client.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, "", err
	}
	var heard bytes.Buffer
	ear := listenOnly{Conn: client, r: io.TeeReader(io.LimitReader(client, maxHello), &heard)}
	err = tls.Server(ear, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name = hello.ServerName
			return nil, errEnough
		},
	}).HandshakeContext(ctx)
	if !errors.Is(err, errEnough) {
		return nil, "", err
	}
	return heard.Bytes(), name, client.SetReadDeadline(time.Time{})
}

// listenOnly is a connection that crypto/tls reads a hello from and cannot answer on.
type listenOnly struct {
	net.Conn
	r io.Reader
}

func (l listenOnly) Read(b []byte) (int, error)  { return l.r.Read(b) }
func (l listenOnly) Write(b []byte) (int, error) { return len(b), nil }
func (l listenOnly) Close() error                { return nil }

// refuse tells the client's TLS that there is no such server, which browsers show as what it is.
func refuse(client net.Conn, timeout time.Duration) {
	const alert, major, minor, fatal, unrecognizedName = 21, 3, 3, 2, 112
	if client.SetWriteDeadline(time.Now().Add(timeout)) == nil {
		_, _ = client.Write([]byte{alert, major, minor, 0, 2, fatal, unrecognizedName}) // it is being closed anyway
	}
}
