// Package tracing sends spans to an OpenTelemetry collector: from a request, or a wake, through Advance to the calls that
// follow. A nil *Tracing is off: it hands back what it is given.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"greenroom/internal/caller"
	"greenroom/internal/logkey"
	"greenroom/internal/observe"
)

// Names in spans; those of OpenTelemetry where it has one.
const (
	scope     = "greenroom"
	route     = attribute.Key("http.route")
	method    = attribute.Key("http.request.method")
	status    = attribute.Key("http.response.status_code")
	clientIP  = attribute.Key("client.address")
	by        = attribute.Key("greenroom." + logkey.By)
	meeting   = attribute.Key("greenroom." + logkey.Meeting)
	cause     = attribute.Key("greenroom.cause")
	outcome   = attribute.Key("greenroom.outcome")
	provider  = attribute.Key("greenroom.provider")
	exportFor = 10 * time.Second // of one export, and of the last one at the end
)

// Tracing makes spans. Its methods may be called at once.
type Tracing struct {
	spans  *sdktrace.TracerProvider
	tracer trace.Tracer
	causes causes
}

// Open returns nil for an empty endpoint. The endpoint is the base URL of a collector that takes OTLP over HTTP. It need not
// answer: spans that it does not take are lost, which costs a line of the log.
func Open(ctx context.Context, endpoint, version string, logger *slog.Logger) (*Tracing, error) {
	if endpoint == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(endpoint, "/")+"/v1/traces"), otlptracehttp.WithTimeout(exportFor))
	if err != nil {
		return nil, fmt.Errorf("open the exporter of traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("spans were lost", logkey.Err, err) }))
	t := &Tracing{spans: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", scope), attribute.String("service.version", version))))}
	t.tracer = t.spans.Tracer(scope)
	return t, nil
}

// Close sends what waits, for ten seconds at most.
func (t *Tracing) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exportFor)
	defer cancel()
	if err := t.spans.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// quiet are paths that are asked for all the time and lead to nothing.
func quiet(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics" || strings.HasPrefix(path, "/static/")
}

// Handler makes a span of each request. Headers of the caller have no part in it.
func (t *Tracing) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if quiet(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		c := &caller.Caller{}
		ctx, span := t.tracer.Start(caller.With(r.Context(), c), "request", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(method.String(r.Method)))
		defer func() {
			if c.Route != "" {
				span.SetName(c.Route)
			}
			span.SetAttributes(route.String(c.Route), status.Int(c.Status), clientIP.String(c.Address), by.String(c.By))
			if c.Status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, http.StatusText(c.Status))
			}
			span.End()
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Advance makes a span of each pass. It belongs to the trace of the request that saved the meeting last, or begins one: a wake.
func (t *Tracing) Advance(next func(ctx context.Context, id string) error) func(ctx context.Context, id string) error {
	if t == nil {
		return next
	}
	return func(ctx context.Context, id string) error {
		why := "wake"
		if asked, ok := t.causes.take(id); ok {
			ctx, why = trace.ContextWithSpanContext(ctx, asked), "request"
		}
		ctx, span := t.tracer.Start(ctx, "advance", trace.WithAttributes(meeting.String(id), cause.String(why)))
		defer span.End()
		err := next(ctx, id)
		fail(span, err)
		return err
	}
}

// Call implements observe.Calls.
func (t *Tracing) Call(ctx context.Context, c observe.Call) (context.Context, func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, c.System+" "+c.Do, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(provider.String(c.Name)))
	return ctx, func(err error) {
		came := observe.OutcomeOf(err)
		span.SetAttributes(outcome.String(string(came)))
		if came != observe.OK && came != observe.Pending {
			fail(span, err)
		}
		span.End()
	}
}

func fail(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
}

// Logger adds the trace to the lines that are written in one.
func (t *Tracing) Logger(logger *slog.Logger) *slog.Logger {
	if t == nil {
		return logger
	}
	return slog.New(traced{logger.Handler()})
}

type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if s := trace.SpanContextFromContext(ctx); s.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String(logkey.Trace, s.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
