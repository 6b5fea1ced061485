package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"greenroom/internal/config"
	"greenroom/internal/logkey"
	"greenroom/internal/version"
)

// Answer answers one event. What it returns is sent as JSON.
type Answer func(ctx context.Context, event []byte) (any, error)

// Start answers the events that AWS Lambda hands to this process, until it is ended. open makes what answers those of the trigger
// that is the function's handler. If it fails, broken answers every event; where broken is nil, every event fails.
func Start(getenv func(string) string, open func(ctx context.Context, trigger Trigger, o Options) (Answer, error), broken Answer) {
	answer, err := load(context.Background(), getenv, os.Stderr, open)
	if err != nil {
		if answer = broken; answer == nil {
			answer = func(context.Context, []byte) (any, error) { return nil, err }
		}
	}
	lambda.Start(answer)
}

// configFile may lie beside the program.
const configFile = "greenroom.yaml"

// load reads the configuration, which lies beside the program and in the environment, and opens with it. It asks nothing of anybody.
func load(ctx context.Context, getenv func(string) string, log io.Writer, open func(context.Context, Trigger, Options) (Answer, error)) (Answer, error) {
	trigger := Trigger(getenv("_HANDLER"))
	file := filepath.Join(getenv("LAMBDA_TASK_ROOT"), configFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		file = ""
	}
	cfg, err := config.Load(file, getenv, map[string]string{"data_dir": filepath.Join(os.TempDir(), "greenroom")})
	if err == nil {
		err = cfg.ValidateServerless()
	}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: cfg.Level()})).With(logkey.Function, trigger)
	var answer Answer
	if err == nil {
		answer, err = open(ctx, trigger, Options{Config: cfg, Logger: logger, Version: version.Get().Version})
	}
	if err != nil {
		logger.Error("invalid configuration", logkey.Err, err)
	}
	return answer, err
}

// Invoke implements lambda.Handler.
func (a Answer) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	ctx, cancel := before(ctx)
	defer cancel()
	out, err := a(ctx, event)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// reserve is what a function keeps of its time to log what became of an event.
const reserve = 2 * time.Second

// before is ctx with an earlier end: a function that Lambda cuts off can log nothing any more.
func before(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, end.Add(-min(reserve, time.Until(end)/2)), errors.New("the function's time is over"))
}
