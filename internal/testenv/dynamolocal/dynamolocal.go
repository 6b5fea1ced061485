// Package dynamolocal gives tests Amazon's DynamoDB Local: tables with real streams, on this machine. It is a Java
// program: scripts/setup.sh puts it into .cache/dynamodb-local.
package dynamolocal

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"greenroom/internal/testenv/shared"
)

// patience bounds one try to start the server, on a machine with much else to do.
const (
	patience = 30 * time.Second
	tries    = 4
)

var start = sync.OnceValues(func() (string, error) { return shared.Start("dynamodb-local", launch) })

func launch(leash *os.File) (string, error) {
	var err error
	for range tries { // another program may take the port before the server does, which then ends
		var url string
		if url, err = launchOnce(leash); err == nil {
			return url, nil
		}
	}
	return "", err
}

func launchOnce(leash *os.File) (string, error) {
	_, here, _, _ := runtime.Caller(0)
	parts := filepath.Join(filepath.Dir(here), "..", "..", "..", ".cache", "dynamodb-local")
	if _, err := os.Stat(filepath.Join(parts, "SHA256SUMS")); err != nil {
		return "", fmt.Errorf("this test needs DynamoDB Local, which is not installed: scripts/setup.sh test installs it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	// The shell reads until nobody can write any more, and then ends the server.
	cmd := exec.Command("sh", "-c", `"$@" & server=$!; cat >/dev/null; kill -9 $server`, "sh",
		"java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.library.path="+parts, "-cp", parts+"/*",
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdin = leash
	if err := cmd.Start(); err != nil {
		return "", err
	}
	url := "http://" + address
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get(url); err == nil {
			answer.Body.Close()
			return url, nil
		}
	}
	return "", fmt.Errorf("DynamoDB Local did not answer within %v", patience)
}

// Start returns the URL of a server that all tests of this process share, and those of other processes of the same run.
func Start(tb testing.TB) string {
	tb.Helper()
	url, err := start()
	if err != nil {
		tb.Fatal(err)
	}
	return url
}

var accounts atomic.Int64

// Account returns the configuration of a client of its own account: nobody else sees its tables.
func Account(tb testing.TB) aws.Config {
	tb.Helper()
	return At(Start(tb))
}

// At is Account for a server at another URL, such as a proxy before this one.
func At(url string) aws.Config {
	key := fmt.Sprintf("TEST%dX%d", os.Getpid(), accounts.Add(1))
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(url),
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""),
	}
}
