package agenttest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"greenroom"
)

// Browser is a participant's, as far as one desktop goes. It comes by way of the control plane's listener,
// which says its address in a PROXY header.
type Browser struct {
	Host   string // the desktop's name
	client *http.Client
}

// NewBrowser goes to the desktop called host at address ("127.0.1.1:8443") from the client address source.
// With an empty source no header is sent.
func NewBrowser(t testing.TB, roots *x509.CertPool, host, address, source string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		if source != "" {
			from := &net.TCPAddr{IP: net.ParseIP(source), Port: 40000}
			if _, err := proxyproto.HeaderProxyFromAddrs(2, from, conn.RemoteAddr()).WriteTo(conn); err != nil {
				return nil, err
			}
		}
		tlsConn := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: host})
		return tlsConn, tlsConn.HandshakeContext(ctx)
	}
	b := &Browser{Host: host, client: &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{DialTLSContext: dial, DisableKeepAlives: true}}}
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// Origin is that of the desktop's pages.
func (b *Browser) Origin() string {
	return "https://" + net.JoinHostPort(b.Host, strconv.Itoa(greenroom.DesktopPort))
}

// Get fetches a page, following redirects. A connection that fails is an error.
func (b *Browser) Get(path string) (status int, header http.Header, body string, err error) {
	resp, err := b.client.Get(b.Origin() + path)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text), err
}

// Visit fetches a page and follows no redirect. Its body is not for reading.
func (b *Browser) Visit(path string) (*http.Response, error) {
	client := &http.Client{Jar: b.client.Jar, Transport: b.client.Transport, Timeout: b.client.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(b.Origin() + path)
	if err != nil {
		return nil, err
	}
	return resp, resp.Body.Close()
}

// Stream opens an event stream; the caller closes it.
func (b *Browser) Stream(ctx context.Context, path string) (io.ReadCloser, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Origin()+path, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := (&http.Client{Jar: b.client.Jar, Transport: b.client.Transport}).Do(req)
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.StatusCode, nil
}

// WebSocket opens the way to the screen as a page of origin would. It is nil unless the status is 101.
func (b *Browser) WebSocket(ctx context.Context, origin string) (*websocket.Conn, int) {
	return b.Screen(ctx, origin, "")
}

// Screen is WebSocket with a query: "?mode=watch".
func (b *Browser) Screen(ctx context.Context, origin, query string) (*websocket.Conn, int) {
	client := &http.Client{Jar: b.client.Jar, Transport: b.client.Transport}
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	conn, resp, err := websocket.Dial(ctx, b.Origin()+"/websockify"+query, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"binary"}, HTTPHeader: header})
	if err != nil {
		if resp == nil {
			return nil, 0
		}
		return nil, resp.StatusCode
	}
	conn.SetReadLimit(-1)
	return conn, resp.StatusCode
}

// Frame is the first full picture of a screen.
type Frame struct {
	Width, Height int
	Colours       int // distinct pixel values
}

// Look speaks RFB 3.8 over the connection until it has one full picture.
func Look(ctx context.Context, conn *websocket.Conn) (Frame, error) {
	conn.SetReadLimit(-1)
	return See(websocket.NetConn(ctx, conn, websocket.MessageBinary))
}

// See is Look over what a connection carries.
func See(stream io.ReadWriter) (Frame, error) {
	rfb := &rfb{stream: stream}
	if version := rfb.take(12); !bytes.HasPrefix(version, []byte("RFB 003.")) {
		return Frame{}, fmt.Errorf("version %q: %w", version, rfb.err)
	}
	rfb.send([]byte("RFB 003.008\n"))
	rfb.take(int(rfb.take(1)[0])) // the kinds of security there are
	rfb.send([]byte{1})           // none
	rfb.take(4)                   // which is fine
	rfb.send([]byte{1})           // shared with others
	hello := rfb.take(24)
	rfb.take(int(binary.BigEndian.Uint32(hello[20:]))) // the desktop's name
	rfb.send([]byte{0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0})
	rfb.send([]byte{2, 0, 0, 1, 0, 0, 0, 0}) // raw pixels, please
	rfb.send(append([]byte{3, 0, 0, 0, 0, 0}, hello[:4]...))
	f := Frame{Width: int(binary.BigEndian.Uint16(hello)), Height: int(binary.BigEndian.Uint16(hello[2:])), Colours: rfb.colours()}
	return f, rfb.err
}

// rfb remembers the first error; after it, everything reads as zero.
type rfb struct {
	stream io.ReadWriter
	err    error
}

func (r *rfb) take(n int) []byte {
	b := make([]byte, n)
	if r.err == nil {
		_, r.err = io.ReadFull(r.stream, b)
	}
	return b
}

func (r *rfb) send(b []byte) {
	if r.err == nil {
		_, r.err = r.stream.Write(b)
	}
}

// colours reads one update of raw rectangles and counts the distinct pixels.
func (r *rfb) colours() int {
	head := r.take(4)
	if head[0] != 0 && r.err == nil {
		r.err = fmt.Errorf("want an update, got message %d", head[0])
	}
	seen := map[[4]byte]bool{}
	for range binary.BigEndian.Uint16(head[2:]) {
		rect := r.take(12)
		pixels := r.take(4 * int(binary.BigEndian.Uint16(rect[4:])) * int(binary.BigEndian.Uint16(rect[6:])))
		for ; len(pixels) > 0; pixels = pixels[4:] {
			seen[[4]byte(pixels)] = true
		}
	}
	return len(seen)
}
