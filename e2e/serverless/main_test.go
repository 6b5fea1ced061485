// Package serverless holds the tests of greenroom without servers: the real program of the functions, started as AWS Lambda
// starts it, between a table, queues, schedules, a zone and machines that behave as AWS's.
package serverless

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The functions' programs, built once as make aws-package builds them, for this machine.
var program, httpProgram string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "greenroom-lambda-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program, httpProgram = filepath.Join(dir, "greenroom-lambda"), filepath.Join(dir, "greenroom-lambda-http")
	build := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", dir+"/", "greenroom/cmd/greenroom-lambda", "greenroom/cmd/greenroom-lambda-http")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
