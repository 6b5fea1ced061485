package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestOperations(t *testing.T) {
	t.Parallel()
	down := errors.New("the disk is full")
	var ready error
	r := newRig(t, func(s *setup) {
		s.api.LocalCA = func() []byte { return []byte("-----BEGIN CERTIFICATE-----\n") }
		s.api.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
		s.api.Ready = func(context.Context) error { return ready }
	})
	for path, says := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "up 1", "/ca.pem": "BEGIN CERTIFICATE"} {
		if a := r.call("GET", path, nil); a.status != 200 || !strings.Contains(string(a.body), says) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	ready = down
	if p := problem(t, r.call("GET", "/readyz", nil), 503); strings.Contains(p.Detail, "disk") {
		t.Errorf("the detail tells strangers about us: %s", p.Detail)
	}
	if !strings.Contains(r.log.String(), down.Error()) {
		t.Error("the log does not say why")
	}
}

func TestDocumentation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.call("GET", "/openapi.json", nil)
	var spec struct {
		OpenAPI    string
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ MaxLength, MaxItems int }
			}
		}
	}
	if err := json.Unmarshal(a.body, &spec); err != nil || a.status != 200 {
		t.Fatalf("status %d: %v", a.status, err)
	}
	page := string(r.call("GET", "/docs", nil).body)
	calls := 0
	for path, ops := range spec.Paths {
		for method, op := range ops {
			calls++
			if !strings.Contains(page, `id="`+op.OperationID+`"`) || !strings.Contains(page, "<code>"+path+"</code>") {
				t.Errorf("%s %s is not on the page", method, path)
			}
		}
	}
	if calls != 22 {
		t.Errorf("%d calls are documented", calls)
	}
	if got := spec.Components.Schemas["Schedule"].Properties["title"].MaxLength; got != 200 {
		t.Errorf("the bound of the title is documented as %d", got)
	}
	if _, ours := spec.Components.Schemas["ErrorModel"].Properties["field"]; !ours {
		t.Error("problem documents are not described")
	}
	for _, foreign := range []string{"<script", "https://unpkg", "style=", "//cdn"} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page holds %q", foreign)
		}
	}
	if a := r.call("GET", "/docs/style.css", nil); a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("style: %d %s", a.status, a.header.Get("Content-Type"))
	}
}
