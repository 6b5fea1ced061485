package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/logkey"
)

// How long is believed what was found out about the wildcard record, and how long one look may take.
const (
	wildcardKept   = 2 * time.Minute // the sweep looks each minute
	wildcardFailed = 5 * time.Second
	wildcardTime   = 30 * time.Second
)

// wildcard keeps the record that leads every desktop's name to the gateway, where somebody else serves the zone.
type wildcard struct {
	zone   dns.Zone
	record dns.Record
	logger *slog.Logger

	mu  sync.Mutex
	at  time.Time // of the last look that came to an end
	err error     // of it
}

// keep writes the record if it is not there. One of somebody else in the way is left alone, and is a UserError.
func (w *wildcard) keep(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, wildcardTime, fmt.Errorf("writing %s took longer than %s", w.record.Name, wildcardTime))
	defer cancel()
	err := dns.Await(ctx, func(ctx context.Context) error { return w.zone.SetRecords(ctx, []dns.Record{w.record}) })
	if errors.Is(err, greenroom.ErrConflict) {
		err = &greenroom.UserError{
			Message: fmt.Sprintf("A DNS record that greenroom did not make has the name %s and was left alone: remove it, so that greenroom can lead that name to %s.", w.record.Name, w.record.Address),
			Cause:   errors.New(err.Error()), // not a conflict of the desktop that asks: no other name would do better
		}
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil && (w.err != nil || w.at.IsZero()):
		w.logger.Info("wildcard record leads to the gateway", logkey.Name, w.record.Name, logkey.Address, w.record.Address.String())
	case err != nil && (w.err == nil || w.err.Error() != err.Error()):
		w.logger.Error("wildcard record could not be written; desktops wait for it", logkey.Name, w.record.Name, logkey.Err, err)
	}
	w.at, w.err = time.Now(), err
	return err
}

// there is keep, unless what was found out lately still holds.
func (w *wildcard) there(ctx context.Context) error {
	w.mu.Lock()
	age, err := time.Since(w.at), w.err
	w.mu.Unlock()
	if err == nil && age < wildcardKept || err != nil && age < wildcardFailed {
		return err
	}
	return w.keep(ctx)
}

// besideWildcard is the zone as the sweep may see it: the wildcard belongs to no desktop and stays.
type besideWildcard struct {
	dns.Zone
	name string
}

func (z besideWildcard) GetRecords(ctx context.Context) ([]dns.Record, error) {
	all, err := z.Zone.GetRecords(ctx)
	return slices.DeleteFunc(all, func(r dns.Record) bool { return r.Name == z.name }), err
}
