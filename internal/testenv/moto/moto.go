// Package moto gives tests moto's server, which stands in for AWS. It is a Python package: scripts/setup.sh puts it into
// .cache/moto unless the system's Python has it.
package moto

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds the server's start, on a machine with much else to do.
const patience = time.Minute

// running keeps the leash, which is open as long as we live, from being collected before.
var running struct{ leash io.Closer }

var start = sync.OnceValues(func() (string, error) {
	python, err := Python()
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	// The server reads from us until we are gone, however that happens, and then ends.
	const wrapper = "import os,sys,threading\nthreading.Thread(target=lambda:(sys.stdin.read(),os._exit(0)),daemon=True).start()\n" +
		"from moto.server import main\nmain(['-H','127.0.0.1','-p',sys.argv[1]])"
	cmd := exec.Command(python, "-c", wrapper, port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if running.leash, err = cmd.StdinPipe(); err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	url := "http://" + address
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get(url + "/moto-api/"); err == nil {
			answer.Body.Close()
			return url, nil
		}
	}
	return "", fmt.Errorf("moto's server did not answer within %v", patience)
})

// Start returns the URL of a server that all tests of this process share; each names its own zones and instances.
func Start(tb testing.TB) string {
	tb.Helper()
	url, err := start()
	if err != nil {
		tb.Fatal(err)
	}
	return url
}

// Python is an interpreter that has moto, and so boto3.
func Python() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	own := filepath.Join(filepath.Dir(here), "..", "..", "..", ".cache", "moto", "bin", "python3")
	if _, err := os.Stat(own); err == nil {
		return own, nil
	}
	if path, err := exec.LookPath("python3"); err == nil && exec.Command(path, "-c", "import moto.server, flask").Run() == nil {
		return path, nil
	}
	return "", fmt.Errorf("this test needs moto's server, which is not installed: scripts/setup.sh test installs it")
}
