package acmecerts

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"

	"greenroom/internal/logkey"
)

// slogCore lets certmagic, which logs through zap, log through slog.
type slogCore struct{ log *slog.Logger }

// Enabled leaves out what certmagic tells when all is well: the important part of it we tell ourselves.
func (c slogCore) Enabled(l zapcore.Level) bool { return c.log.Enabled(context.Background(), level(l)) }

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.log.With(attrs(fields)...)}
}

func (c slogCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.With(attrs(fields)...).Log(context.Background(), level(e.Level), "certmagic: certificates", logkey.What, e.Message)
	return nil
}

func (slogCore) Sync() error { return nil }

// level is one below zap's, save for errors.
func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelWarn
	default:
		return slog.LevelDebug
	}
}

func attrs(fields []zapcore.Field) []any {
	in := zapcore.NewMapObjectEncoder()
	var out []any
	for _, f := range fields {
		f.AddTo(in)
	}
	for key, value := range in.Fields {
		out = append(out, slog.Any(key, value)) //nolint:sloglint // the key is CertMagic's
	}
	return out
}
