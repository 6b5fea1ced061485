//go:build linux

package dcvagent

import (
	"hash/fnv"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClientsAsked has a client come, a second one, and both go.
func TestClientsAsked(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			server, err := net.Listen("tcp", address)
			if err != nil {
				t.Skipf("this machine has no such addresses: %v", err)
			}
			defer server.Close()
			port := server.Addr().(*net.TCPAddr).Port
			see := func(want int) uint64 {
				t.Helper()
				p := &peers{hash: fnv.New64a()}
				if err := p.ask(uint16(port)); err != nil {
					t.Fatal(err)
				}
				if p.count != want {
					t.Errorf("%d clients are seen, and there are %d", p.count, want)
				}
				return p.hash.Sum64()
			}
			enter := func() (leave func()) {
				t.Helper()
				here, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
				if err != nil {
					t.Fatal(err)
				}
				there, err := server.Accept()
				if err != nil {
					t.Fatal(err)
				}
				return func() {
					here.Close()
					there.Close()
				}
			}
			nobody := see(0)
			first := enter()
			one := see(1)
			second := enter()
			both := see(2)
			first()
			other := see(1)
			second()
			if see(0) != nobody || nobody == one || one == both || one == other {
				t.Error("who is connected makes no difference")
			}
		})
	}
}

// table is the kernel's list: a listening socket, two clients of port 8443 (20FB), one of them gone, and somebody's own connection to such a port.
const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 020012C6:20FB 010012C6:C158 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0000000000000000 20 4 30 10 -1
   2: 020012C6:20FB 010012C6:C15A 06 00000000:00000000 03:00000A5E 00000000     0        0 0 3 0000000000000000
   3: 020012C6:C15C 010012C6:20FB 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0000000000000000 20 4 30 10 -1
`

func TestClientsRead(t *testing.T) {
	t.Parallel()
	see := func(text string) (int, uint64) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "tcp")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &peers{hash: fnv.New64a()}
		p.read(8443, path, filepath.Join(t.TempDir(), "of a kernel without IPv6"))
		return p.count, p.hash.Sum64()
	}
	n, somebody := see(table)
	if n != 1 {
		t.Errorf("%d clients are seen, and there is one", n)
	}
	if n, other := see(strings.Replace(table, "010012C6:C158", "010012C6:C160", 1)); n != 1 || other == somebody {
		t.Errorf("another client in place of the first makes no difference")
	}
}
