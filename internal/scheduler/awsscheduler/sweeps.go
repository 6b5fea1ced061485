package awsscheduler

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
)

// sweepName is the schedule beside those of meetings, whose ids are longer.
const sweepName = "sweep"

// Sweep lets the function be told to sweep each minute, until Rest. It may be called again.
func (s *Scheduler) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	err := s.create(ctx, sweepName, "rate(1 minute)", Wake{Sweep: true})
	if _, there := errors.AsType[*types.ConflictException](err); there {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("let each minute be swept: %w", s.explain(ctx, err))
	}
	return nil
}

// Rest ends what Sweep began.
func (s *Scheduler) Rest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := s.remove(ctx, sweepName); err != nil {
		return fmt.Errorf("end the sweeps of each minute: %w", s.explain(ctx, err))
	}
	return nil
}
