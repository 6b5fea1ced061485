package lambda

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"greenroom"
)

// TestAFaultyFunctionSaysWhatIsWrong in its log and with every event.
func TestAFaultyFunctionSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	opened := func(context.Context, Trigger, Options) (Answer, error) {
		t.Error("it was opened with a configuration at fault")
		return nil, nil
	}
	var log bytes.Buffer
	getenv := func(name string) string { return map[string]string{"_HANDLER": "wake"}[name] }
	if _, err := load(t.Context(), getenv, &log, opened); err == nil || !strings.Contains(log.String(), "serverless.table") {
		t.Errorf("%v; the log says %s", err, &log)
	}
}

func TestAPackageRefusesTheHandlerOfAnother(t *testing.T) {
	t.Parallel()
	for _, trigger := range []Trigger{HTTP, "", "bootstrap"} {
		_, err := Open(t.Context(), trigger, Options{})
		if says := greenroom.Sentence(err, ""); !errors.Is(err, greenroom.ErrPermanent) || !strings.Contains(says, "greenroom-lambda-http answers http") {
			t.Errorf("%q: %v", trigger, err)
		}
	}
}

// TestAnAnswerEndsBeforeItsFunction does, so that there is time to log why.
func TestAnAnswerEndsBeforeItsFunction(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var left time.Duration
	answer := Answer(func(ctx context.Context, event []byte) (any, error) {
		end, _ := ctx.Deadline()
		left = time.Until(end)
		return map[string]string{"got": string(event)}, nil
	})
	out, err := answer.Invoke(ctx, []byte("x"))
	if err != nil || string(out) != `{"got":"x"}` {
		t.Errorf("%s, %v", out, err)
	}
	if left < 50*time.Second || left > 58*time.Second {
		t.Errorf("%s of a minute are left", left)
	}
	broken := errors.New("broken")
	if _, err := Answer(func(context.Context, []byte) (any, error) { return nil, broken }).Invoke(ctx, nil); !errors.Is(err, broken) {
		t.Errorf("the error became %v", err)
	}
}
