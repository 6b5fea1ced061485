package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"greenroom"
	"greenroom/internal/caller"
	"greenroom/internal/dns"
	"greenroom/internal/observe"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
	"greenroom/internal/testenv/otlptest"
	"greenroom/internal/tracing"
)

// find returns the span of that name.
func find(t *testing.T, c *otlptest.Collector, name string) *tracepb.Span {
	t.Helper()
	for _, s := range c.Spans() {
		if s.GetName() == name {
			return s
		}
	}
	t.Fatalf("no span %q", name)
	return nil
}

type zone struct{ err error }

func (z zone) SetRecords(context.Context, []dns.Record) error   { return z.err }
func (z zone) DeleteRecords(context.Context, []string) error    { return z.err }
func (z zone) GetRecords(context.Context) ([]dns.Record, error) { return nil, z.err }

// TestFromRequestToCall follows one trace from a request over the pass that it causes to a call that fails, and a wake that has
// a trace of its own.
func TestFromRequestToCall(t *testing.T) {
	t.Parallel()
	c := otlptest.Start(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	tr, err := tracing.Open(t.Context(), c.URL+"/", "v1", logger)
	if err != nil {
		t.Fatal(err)
	}
	logger = tr.Logger(logger)
	kept := tr.Store(memstore.New())
	id := greenroom.NewMeetingID()
	h := tr.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		who := caller.In(r.Context())
		who.Route, who.Status, who.By = "POST /api/v1/meetings", http.StatusCreated, caller.Loopback
		if _, _, err := kept.Create(r.Context(), greenroom.Meeting{ID: id}, nil, store.Idempotency{}); err != nil {
			t.Error(err)
		}
		logger.InfoContext(r.Context(), "scheduled")
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/api/v1/meetings", nil))
	h2 := tr.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h2.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil))
	names := observe.Zone{Zone: zone{greenroom.ErrThrottled}, Name: "route53", Calls: tr.Call}
	advance := tr.Advance(func(ctx context.Context, _ string) error { return names.SetRecords(ctx, nil) })
	if err := advance(t.Context(), id); !errors.Is(err, greenroom.ErrThrottled) {
		t.Error(err)
	}
	woken := tr.Advance(func(ctx context.Context, _ string) error { return names.DeleteRecords(ctx, nil) })
	_ = woken(t.Context(), id)
	tr.Close(t.Context())

	spans, services := c.Spans(), c.Services()
	if len(spans) != 5 || len(services) == 0 || services[0] != "greenroom" {
		t.Fatalf("%d spans of %v", len(spans), services)
	}
	request, call, wake := find(t, c, "POST /api/v1/meetings"), find(t, c, "dns set"), find(t, c, "dns delete")
	var pass *tracepb.Span
	for _, s := range spans {
		if s.GetName() == "advance" && bytes.Equal(s.GetTraceId(), request.GetTraceId()) {
			pass = s
		}
	}
	if pass == nil || !bytes.Equal(pass.GetParentSpanId(), request.GetSpanId()) || !bytes.Equal(call.GetParentSpanId(), pass.GetSpanId()) {
		t.Errorf("the spans do not hang together: %v", spans)
	}
	if bytes.Equal(wake.GetTraceId(), request.GetTraceId()) {
		t.Error("a wake is in the trace of a request that is over")
	}
	if call.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || request.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("statuses %v and %v", call.GetStatus(), request.GetStatus())
	}
	attributes := map[string]string{}
	for _, s := range spans {
		for _, a := range s.GetAttributes() {
			attributes[a.GetKey()+"="+a.GetValue().GetStringValue()] = s.GetName()
		}
	}
	for _, want := range []string{"greenroom.meeting=" + id, "greenroom.outcome=throttled", "greenroom.provider=route53", "greenroom.by=loopback", "greenroom.cause=request", "greenroom.cause=wake", "http.route=POST /api/v1/meetings"} {
		if attributes[want] == "" {
			t.Errorf("no span has %s", want)
		}
	}
	if !strings.Contains(log.String(), "msg=scheduled trace=") {
		t.Errorf("the line has no trace: %s", log.String())
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	tr, err := tracing.Open(t.Context(), "", "v1", nil)
	if err != nil || tr != nil {
		t.Fatal(tr, err)
	}
	s := memstore.New()
	if tr.Store(s) != store.Store(s) {
		t.Error("the store is another")
	}
	_, end := tr.Call(t.Context(), observe.Call{})
	end(nil)
	tr.Close(t.Context())
}

// TestACollectorThatIsGone costs a line and delays nothing but the end.
func TestACollectorThatIsGone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	tr, err := tracing.Open(t.Context(), server.URL, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	began := time.Now()
	_, end := tr.Call(t.Context(), observe.Call{System: observe.DNS, Do: "set"})
	end(nil)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a call took %s", took)
	}
}
