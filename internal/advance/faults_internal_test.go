package advance

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// TestFaultsOfRulesAreLoud logs them at error with what is needed to find them, and counts them.
func TestFaultsOfRulesAreLoud(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var counted []plan.Verb
	a := &Advancer{Logger: slog.New(slog.NewTextHandler(&log, nil)), Measure: func(do plan.Verb, _ time.Duration, err error) {
		if err != nil {
			counted = append(counted, do)
		}
	}}
	a.tellFaults("k3v9k3v9k3v9k3v9", []error{
		&plan.ForbiddenMoveError{Seat: "teacher", Attempt: 2, From: greenroom.Gone, To: greenroom.Ready},
		plan.ErrUnsettled,
	})
	for _, want := range []string{"level=ERROR", "meeting=k3v9k3v9k3v9k3v9", "seat=teacher", "attempt=2", "from=gone", "to=ready", "err=\"the rules do not come to rest\""} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, log.String())
		}
	}
	if len(counted) != 2 || counted[0] != plan.Verb(plan.Planning) {
		t.Errorf("counted %v", counted)
	}
}
