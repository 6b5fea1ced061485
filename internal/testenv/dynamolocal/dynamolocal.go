// Package dynamolocal gives tests Amazon's DynamoDB Local: tables with real streams, on this machine. It is a Java
// program: scripts/setup.sh puts it into .cache/dynamodb-local.
package dynamolocal

import (
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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// patience bounds the server's start, on a machine with much else to do.
const patience = time.Minute

type server struct {
	url   string
	leash io.Closer // open as long as we live; it is kept here so that it is not collected before
}

var start = sync.OnceValues(func() (*server, error) {
	_, here, _, _ := runtime.Caller(0)
	parts := filepath.Join(filepath.Dir(here), "..", "..", "..", ".cache", "dynamodb-local")
	if _, err := os.Stat(filepath.Join(parts, "SHA256SUMS")); err != nil {
		return nil, fmt.Errorf("this test needs DynamoDB Local, which is not installed: scripts/setup.sh test installs it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	// The shell reads from us until we are gone, however that happens, and then ends the server.
	cmd := exec.Command("sh", "-c", `"$@" & server=$!; cat >/dev/null; kill -9 $server`, "sh",
		"java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.library.path="+parts, "-cp", parts+"/*",
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	leash, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	url := "http://" + address
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get(url); err == nil {
			answer.Body.Close()
			return &server{url, leash}, nil
		}
	}
	return nil, fmt.Errorf("DynamoDB Local did not answer within %v", patience)
})

// Start returns the URL of a server that all tests of this process share.
func Start(tb testing.TB) string {
	tb.Helper()
	s, err := start()
	if err != nil {
		tb.Fatal(err)
	}
	return s.url
}

var accounts atomic.Int64

// Account returns the configuration of a client of its own account: nobody else sees its tables.
func Account(tb testing.TB) aws.Config {
	tb.Helper()
	return At(Start(tb))
}

// At is Account for a server at another URL, such as a proxy before this one.
func At(url string) aws.Config {
	key := "TEST" + strconv.FormatInt(accounts.Add(1), 10)
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(url),
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""),
	}
}
