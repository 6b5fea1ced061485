// Package ipv6 tells tests whether they can use IPv6.
package ipv6

import (
	"net"
	"os"
	"testing"
)

// Works reports whether ::1 can be listened on. In continuous integration (CI is set) it is taken for granted, so that tests fail
// where it cannot.
func Works() bool { return listen() == nil || os.Getenv("CI") != "" }

func listen() error {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err
}

// Loopback skips the test, and says so, where ::1 cannot be listened on, as in some containers. In continuous integration (CI is
// set) that is a failure: the machine is not what the tests are for.
func Loopback(tb testing.TB) {
	tb.Helper()
	err := listen()
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		tb.Fatalf("IPv6 is not tested: this machine has no ::1: %v", err)
	}
	tb.Skipf("IPv6 IS NOT TESTED: this machine has no ::1: %v", err)
}
