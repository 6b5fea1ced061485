package observe

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"greenroom/internal/caller"
	"greenroom/internal/logkey"
)

// Log writes each entry of a timeline as one line at info. Its message is the entry's kind.
func Log(logger *slog.Logger) Saves {
	return func(ctx context.Context, s Saved) {
		if !logger.Enabled(ctx, slog.LevelInfo) {
			return
		}
		for _, e := range s.Entries() {
			logger.LogAttrs(ctx, slog.LevelInfo, string(e.Kind), attrs(ctx, s, e)...) //nolint:sloglint // kinds are constants
		}
	}
}

func attrs(ctx context.Context, s Saved, e Entry) []slog.Attr {
	const most = 12
	out := append(make([]slog.Attr, 0, most), slog.String(logkey.Meeting, s.Meeting.ID))
	if e.Seat != "" {
		out = append(out, slog.String(logkey.Seat, e.Seat))
	}
	if e.Attempt > 0 {
		out = append(out, slog.Int(logkey.Attempt, e.Attempt))
	}
	if e.To != "" {
		out = append(out, slog.String(logkey.From, string(e.From)), slog.String(logkey.To, string(e.To)), slog.Duration(logkey.Duration, e.Took))
	}
	out = append(out, slog.String(logkey.Reason, e.Message))
	if !s.Meeting.WakeAt.IsZero() {
		out = append(out, slog.Time(logkey.Wake, s.Meeting.WakeAt))
	}
	if c := caller.Of(ctx); c.By != "" {
		out = append(out, slog.String(logkey.By, c.By), slog.String(logkey.Client, c.Address))
	}
	if len(e.Data) > 0 {
		evidence := make([]any, 0, len(e.Data))
		for _, k := range slices.Sorted(maps.Keys(e.Data)) {
			if k == "phase" && e.To != "" {
				continue // it is To, or From
			}
			evidence = append(evidence, slog.String(k, e.Data[k])) //nolint:sloglint // the key is the timeline's
		}
		out = append(out, slog.Group(logkey.Evidence, evidence...))
	}
	return out
}
