// Package dnsserver gives tests a real authoritative name server, Knot DNS or BIND, that takes dynamic updates signed with a
// TSIG key. It is started from the programs that are installed, on a free loopback port, and ends with the test.
package dnsserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom/internal/testenv/child"
)

// patience bounds the server's start, on a machine with much else to do.
const patience = time.Minute

// kind is a program and how it is told what to do.
type kind struct {
	program, file, config string
	args                  func(config string) []string
}

var kinds = []kind{
	{"knotd", "knot.conf", knot, func(config string) []string { return []string{"--config", config} }},
	{"named", "named.conf", named, func(config string) []string { return []string{"-g", "-c", config} }},
}

const knot = `server:
    rundir: "DIR"
    listen: 127.0.0.1@PORT
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "DIR"
key:
  - id: KEY
    algorithm: hmac-sha256
    secret: SECRET
acl:
  - id: writer
    key: KEY
    action: [query, update, transfer]
zone:
  - domain: ZONE
    storage: "DIR"
    file: zone
    zonefile-sync: -1
    journal-content: all
    acl: writer
`

const named = `options {
	directory "DIR"; pid-file "DIR/named.pid"; session-keyfile "DIR/session.key"; lock-file none;
	listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no; allow-transfer { none; };
};
controls { };
key "KEY" { algorithm hmac-sha256; secret "SECRET"; };
zone "ZONE" { type primary; file "DIR/zone"; update-policy { grant KEY zonesub ANY; }; allow-transfer { key "KEY"; }; };
`

// Start starts a server that keeps the zone and lets the key update and transfer it. It returns its host:port.
func Start(tb testing.TB, zone, key, secret string) string {
	tb.Helper()
	k, path := installed()
	if path == "" {
		tb.Fatal("this test needs a name server, which is not installed: install the package knot or bind9 (scripts/setup.sh test does)")
	}
	dir, err := os.MkdirTemp("", "greenroom-dns-") //nolint:usetesting // short: the server makes a socket in it
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	port := freePort(tb)
	text := strings.NewReplacer("DIR", dir, "PORT", port, "KEY", key, "SECRET", secret, "ZONE", zone).Replace(k.config)
	soa := "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n"
	for name, content := range map[string]string{k.file: text, "zone": soa} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		tb.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, k.args(filepath.Join(dir, k.file))...)
	cmd.Stdout, cmd.Stderr = log, log
	ended, err := child.Start(cmd)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	address := net.JoinHostPort("127.0.0.1", port)
	if err := answers(address, zone); err != nil {
		said, _ := os.ReadFile(log.Name())
		tb.Fatalf("%s does not answer: %v\n%s", k.program, err, said)
	}
	return address
}

func installed() (kind, string) {
	for _, k := range kinds {
		for _, name := range []string{k.program, "/usr/sbin/" + k.program} {
			if path, err := exec.LookPath(name); err == nil {
				return k, path
			}
		}
	}
	return kind{}, ""
}

func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func answers(address, zone string) error {
	q := new(miekg.Msg).SetQuestion(miekg.Fqdn(zone), miekg.TypeSOA)
	var err error
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		var m *miekg.Msg
		if m, _, err = (&miekg.Client{Net: "tcp", Timeout: time.Second}).Exchange(q, address); err == nil && m.Authoritative {
			return nil
		}
	}
	return fmt.Errorf("no authoritative answer within %v: %w", patience, err)
}
