package sim

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// complaints is where the product logs to: what it logs as an error is a fault of its own rules, and breaks the life.
type complaints struct{ l *life }

// Enabled implements slog.Handler.
func (complaints) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

// Handle implements slog.Handler.
func (c complaints) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	c.l.fail("an error was logged: %s%s", r.Message, b.String())
	return nil
}

// WithAttrs implements slog.Handler.
func (c complaints) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup implements slog.Handler.
func (c complaints) WithGroup(string) slog.Handler { return c }
