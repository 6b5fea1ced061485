package e2e

import (
	"context"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/testenv/otlptest"
)

// TestATraceLeadsFromTheRequestToItsCalls schedules a meeting that starts now, and wants machines, names and the first pass in the
// trace of that request, and the certificate in that of the desktop's own.
func TestATraceLeadsFromTheRequestToItsCalls(t *testing.T) {
	t.Parallel()
	collector := otlptest.Start(t)
	s := newInstance(t)
	s.under = []string{"env", "GREENROOM_OTEL_ENDPOINT=" + collector.URL}
	s.start()
	m, err := s.api.Schedule(t.Context(), wire.Schedule{Title: "Algebra", StartsAt: "now", Duration: "30m"}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.until("both desktops to be ready", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, m.ID)
		return ok && all(m, greenroom.Ready)
	})
	if _, err := s.api.End(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	s.until("the end", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, m.ID)
		return ok && m.State == greenroom.Ended
	})
	s.nothingLeft()
	s.stop() // it sends what waits

	spans := map[string]*tracepb.Span{}
	for _, span := range collector.Spans() {
		spans[string(span.GetSpanId())] = span
	}
	for _, want := range [][]string{
		{"compute launch", "advance", "POST /api/v1/meetings"},
		{"dns set", "advance", "POST /api/v1/meetings"},
		{"compute terminate", "advance"},
		{"certificates issue", "POST /agent/v1/enrol"},
	} {
		if !chain(spans, want) {
			t.Errorf("no trace has %v, each the child of the next", want)
		}
	}
	if t.Failed() {
		for _, span := range spans {
			t.Logf("%s, child of %s", span.GetName(), spans[string(span.GetParentSpanId())].GetName())
		}
	}
}

// chain reports whether a span of the first name has a parent of the second, and so on.
func chain(spans map[string]*tracepb.Span, names []string) bool {
	for _, span := range spans {
		at := span
		for i, name := range names {
			if at.GetName() != name {
				break
			}
			if i == len(names)-1 {
				return true
			}
			at = spans[string(at.GetParentSpanId())]
		}
	}
	return false
}
