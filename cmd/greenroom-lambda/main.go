// Command greenroom-lambda is greenroom without servers: one program for five AWS Lambda functions, whose handlers say what
// calls them. See docs/serverless.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/aws/aws-lambda-go/lambda"

	functions "greenroom/internal/app/lambda"
	"greenroom/internal/config"
	"greenroom/internal/version"
)

func main() {
	lambda.Start(open(context.Background(), os.Getenv, os.Stderr))
}

// function answers the events of one trigger.
type function struct {
	trigger functions.Trigger
	all     *functions.Functions
	fault   error // of the configuration: every event is told
}

// configFile may lie beside the program.
const configFile = "greenroom.yaml"

// open reads the configuration, which lies beside the program and in the environment. It asks nothing of anybody.
func open(ctx context.Context, getenv func(string) string, log io.Writer) function {
	f := function{trigger: functions.Trigger(getenv("_HANDLER"))}
	file := filepath.Join(getenv("LAMBDA_TASK_ROOT"), configFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		file = ""
	}
	cfg, err := config.Load(file, getenv, map[string]string{"data_dir": filepath.Join(os.TempDir(), "greenroom")})
	if err == nil {
		err = cfg.ValidateServerless()
	}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: cfg.Level()})).With("function", f.trigger)
	if err == nil {
		f.all, err = functions.New(ctx, functions.Options{Config: cfg, Logger: logger, Version: version.Get().Version})
	}
	if err != nil {
		logger.Error("invalid configuration", "err", err)
		f.fault = err
	}
	return f
}

// Invoke implements lambda.Handler.
func (f function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	if f.fault != nil {
		if f.trigger == functions.HTTP {
			return json.Marshal(functions.Broken())
		}
		return nil, f.fault
	}
	out, err := f.all.Handle(ctx, f.trigger, event)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
