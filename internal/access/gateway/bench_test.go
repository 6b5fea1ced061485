package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"greenroom/internal/access/gateway"
)

// door is a way to the teacher's desktop: the gateway's, or a peer's that does as little as can be done.
type door struct{ name, address string }

// doors are the gateway, a bare copy between two TLS connections, and nginx.
func (r *rig) doors() []door {
	r.tb.Helper()
	path := "/usr/sbin/nginx" // where Debian keeps it, out of an ordinary user's PATH
	if found, err := exec.LookPath("nginx"); err == nil {
		path = found
	} else if _, err := os.Stat(path); err != nil {
		r.tb.Fatal("the gateway is measured beside nginx, which is not installed: make bench installs it")
	}
	return []door{{"edge", r.address}, {"peer=copy", r.copier()}, {"peer=nginx", r.nginx(path)}}
}

// copier ends TLS and begins it again, with io.Copy in between, and knows nothing of HTTP.
func (r *rig) copier() string {
	r.tb.Helper()
	l := listen(r.tb, "127.0.0.1:0")
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.copy(client)
		}
	}()
	return l.Addr().String()
}

func (r *rig) copy(client net.Conn) {
	front := tls.Server(client, &tls.Config{GetCertificate: r.keeper.Certificate})
	defer front.Close()
	raw, err := net.Dial("tcp", net.JoinHostPort(r.teacher.ip, strconv.Itoa(r.port)))
	if err != nil {
		return
	}
	defer raw.Close()
	if _, err := proxyproto.HeaderProxyFromAddrs(2, client.RemoteAddr(), client.LocalAddr()).WriteTo(raw); err != nil {
		return
	}
	back := tls.Client(raw, &tls.Config{ServerName: r.teacher.host, RootCAs: r.roots()})
	go func() {
		_, _ = io.Copy(back, front)
		back.Close()
	}()
	_, _ = io.Copy(front, back)
}

// nginx runs as a TLS proxy in front of the desktop, with one worker for each processor.
func (r *rig) nginx(path string) string {
	r.tb.Helper()
	dir := r.tb.TempDir()
	cert, err := r.keeper.Certificate(nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		r.tb.Fatal(err)
	}
	l := listen(r.tb, "127.0.0.1:0")
	address := l.Addr().String()
	l.Close()
	conf := fmt.Sprintf(`daemon off; master_process on; worker_processes auto; pid %[1]s/pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream desktop { server %[3]s:%[4]d; keepalive 8; }
  server {
    listen %[2]s ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass https://desktop; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_buffering off;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; proxy_read_timeout 1h; proxy_ssl_server_name on; proxy_ssl_name %[5]s;
    }
  }
}`, dir, address, r.teacher.ip, r.port, r.teacher.host)
	for name, block := range map[string][]byte{
		"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"conf":     []byte(conf),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), block, 0o600); err != nil {
			r.tb.Fatal(err)
		}
	}
	var said bytes.Buffer
	cmd := exec.Command(path, "-p", dir, "-c", filepath.Join(dir, "conf"))
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // the workers go with their master
		_ = cmd.Wait()
		if r.tb.Failed() {
			r.tb.Logf("nginx said: %s", &said)
		}
	})
	poll(r.tb, "nginx to listen", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

// through is a browser that is in, and comes by this door. Whoever does not check passes is passed by with one.
func (r *rig) through(d door) browser {
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	b.CloseIdleConnections()
	r.tb.Cleanup(func() { b.CloseIdleConnections() })
	b.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots()}, DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, d.address)
		}}
	return b
}

// BenchmarkThroughput compares one large answer through the gateway with the same through its peers.
func BenchmarkThroughput(b *testing.B) {
	r := newRig(b)
	for _, d := range r.doors() {
		b.Run(d.name, func(b *testing.B) {
			in := r.through(d)
			b.SetBytes(bulk)
			for b.Loop() {
				resp, err := in.Get("https://" + r.teacher.host + "/bulk")
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != bulk {
					b.Fatalf("%d bytes, %s: %v", n, resp.Status, err)
				}
				resp.Body.Close()
			}
		})
	}
}

// BenchmarkWebSocket compares a screen that changes all over through the gateway with the same through its peers.
func BenchmarkWebSocket(b *testing.B) {
	const messages = 256 // of 64 KiB
	r := newRig(b)
	for _, d := range r.doors() {
		b.Run(d.name, func(b *testing.B) {
			in := r.through(d)
			in.tb = b
			conn := in.socket(r.teacher)
			buffer := make([]byte, 64<<10)
			b.SetBytes(messages << 16)
			for b.Loop() {
				if err := conn.Write(b.Context(), websocket.MessageText, fmt.Appendf(nil, "flood %d", messages)); err != nil {
					b.Fatal(err)
				}
				for range messages {
					_, reader, err := conn.Reader(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, reader, buffer); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkKeystroke compares the way there and back of a few bytes.
func BenchmarkKeystroke(b *testing.B) {
	r := newRig(b)
	for _, d := range r.doors() {
		b.Run(d.name, func(b *testing.B) {
			in := r.through(d)
			in.tb = b
			conn := in.socket(r.teacher)
			for b.Loop() {
				echo(b, conn, "key down")
			}
		})
	}
}

// idleSockets and idleBudget are how many silent sessions may cost the gateway how much, in MiB.
const idleSockets = 1000

var idleBudget = 50.0

// TestIdleSocketsAreCheap opens a thousand WebSockets on which nothing moves. Both ends of each are in this process, too:
// what they cost is measured on as many connections that go to the desktop directly, and taken off. It runs alone.
func TestIdleSocketsAreCheap(t *testing.T) {
	if mib := idleCost(t, 0); mib > idleBudget {
		t.Errorf("%d idle sockets cost %.1f MiB, more than %.0f", idleSockets, mib, idleBudget)
	}
}

// BenchmarkIdleSockets gives the same figure, and that of sockets that were busy once: crypto/tls keeps the buffer of the largest record.
func BenchmarkIdleSockets(b *testing.B) {
	for name, painted := range map[string]int{"silent": 0, "painted": 2} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(idleCost(b, painted), "MiB/1000")
			}
		})
	}
}

// idleCost is what the sockets cost the gateway, in MiB, when so many pieces of 64 KiB have come down each.
func idleCost(tb testing.TB, painted int) float64 {
	r := newRig(tb, func(o *gateway.Options) { o.MaxPerClient = 2 * idleSockets })
	through, direct := r.through(door{address: r.address}), r.direct()
	all := r.resident(func() { r.open(through, idleSockets, painted) })
	ends := r.resident(func() { r.open(direct, idleSockets, painted) })
	tb.Logf("%d idle sockets cost the gateway %.1f MiB, and their ends %.1f MiB", idleSockets, float64(all-ends)/(1<<20), float64(ends)/(1<<20))
	return float64(all-ends) / (1 << 20)
}

// direct is a browser that goes to the desktop itself.
func (r *rig) direct() browser {
	b := r.browser("127.0.0.1", false)
	conf := &tls.Config{ServerName: r.teacher.host, RootCAs: r.roots()}
	b.Transport = &http.Transport{DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		raw, err := dialer.DialContext(ctx, network, net.JoinHostPort(r.teacher.ip, strconv.Itoa(r.port)))
		if err != nil {
			return nil, err
		}
		if _, err := proxyproto.HeaderProxyFromAddrs(2, raw.LocalAddr(), raw.RemoteAddr()).WriteTo(raw); err != nil {
			return nil, err
		}
		conn := tls.Client(raw, conf)
		return conn, conn.HandshakeContext(ctx)
	}}
	return b
}

// open opens n sockets, on each of which a key is pressed and so many pieces of a screen are painted.
func (r *rig) open(b browser, n, painted int) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(r.tb.Context(), patient)
			defer cancel()
			conn, status := b.dialSocket(ctx, r.teacher, "https://"+r.teacher.host)
			if conn == nil {
				r.tb.Errorf("no WebSocket: status %d", status)
				return
			}
			if err := conn.Write(ctx, websocket.MessageBinary, fmt.Appendf(nil, "flood %d", painted)); err != nil {
				r.tb.Error(err)
			}
			for range painted {
				if _, reader, err := conn.Reader(ctx); err != nil {
					r.tb.Error(err)
				} else if n, err := io.Copy(io.Discard, reader); err != nil || n != 64<<10 {
					r.tb.Errorf("got %d bytes: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	if r.tb.Failed() {
		r.tb.FailNow()
	}
}

// resident is by how much the live heap and all stacks grow for good when f is done.
func (r *rig) resident(f func()) int64 {
	held := func() int64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := held()
	f()
	return held() - before
}
