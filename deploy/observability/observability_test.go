// Package observability_test checks the dashboard and the alert rules against what the server registers.
package observability_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"greenroom/internal/access"
	"greenroom/internal/httpx"
	"greenroom/internal/metrics"
	"greenroom/internal/observe"
)

// registered are the labels of every series that a server exports, by name of the series.
func registered(t *testing.T) map[string]map[string]bool {
	t.Helper()
	m := metrics.New("v1")
	m.LostLines(func() uint64 { return 0 })
	m.CertificateEnds("authority", time.Now())
	m.Listener(func() access.Stats { return access.Stats{Refused: map[string]int64{"desktop_unreachable": 1}} })
	_, end := m.Call(t.Context(), observe.Call{System: observe.Compute, Name: "local", Do: "launch"})
	end(errors.New("x"))
	m.Answer(httpx.Answer{Route: "GET /", Status: http.StatusOK, Took: time.Second})
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	for _, f := range families {
		names := map[string]bool{"job": true, "instance": true}
		for _, metric := range f.GetMetric() {
			for _, l := range metric.GetLabel() {
				names[l.GetName()] = true
			}
		}
		name := f.GetName()
		out[name] = names
		if metric := f.GetMetric()[0]; metric.GetHistogram() != nil {
			delete(out, name)
			out[name+"_sum"], out[name+"_count"] = names, names
			out[name+"_bucket"] = map[string]bool{"le": true}
			for l := range names {
				out[name+"_bucket"][l] = true
			}
		}
	}
	return out
}

// check parses an expression and wants every metric in it to be there, with the labels that it is asked for by.
func check(t *testing.T, where, expr string, known map[string]map[string]bool) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(expr, "$__rate_interval", "5m"))
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	found := 0
	var grouping []string
	have := map[string]bool{}
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			grouping = append(grouping, n.Grouping...)
		case *parser.VectorSelector:
			found++
			names, ok := known[n.Name]
			if !ok {
				t.Errorf("%s: the server has no metric %s", where, n.Name)
			}
			for l := range names {
				have[l] = true
			}
			for _, m := range n.LabelMatchers {
				if m.Name != "__name__" && !names[m.Name] {
					t.Errorf("%s: %s has no label %s", where, n.Name, m.Name)
				}
			}
		}
		return nil
	})
	for _, l := range grouping {
		if !have[l] {
			t.Errorf("%s: no metric in it has the label %s", where, l)
		}
	}
	if found == 0 {
		t.Errorf("%s: it names no metric", where)
	}
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	known, rules := registered(t), 0
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			rules++
			check(t, r.Alert, r.Expr, known)
			paragraph := regexp.MustCompile(`(?m)^### ` + regexp.QuoteMeta(r.Alert) + `\n\n\S`)
			if !paragraph.Match(runbook) {
				t.Errorf("docs/runbook.md has no paragraph under ### %s", r.Alert)
			}
			if want := "docs/runbook.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want || r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s: runbook_url %q, want %q; severity and summary are required", r.Alert, r.Annotations["runbook_url"], want)
			}
		}
	}
	if n := strings.Count(string(runbook), "\n### Greenroom"); n != rules || rules == 0 {
		t.Errorf("%d paragraphs for %d rules", n, rules)
	}
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	type target struct{ Expr, RefID string }
	var d struct {
		UID, Title    string
		SchemaVersion int
		Panels        []struct {
			ID          int
			Type, Title string
			GridPos     struct{ H, W, X, Y int }
			Targets     []target
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion == 0 {
		t.Error("uid, title and schemaVersion are required")
	}
	known, ids, shown := registered(t), map[int]bool{}, string(text)
	places := map[[2]int]bool{}
	for _, p := range d.Panels {
		place := [2]int{p.GridPos.X, p.GridPos.Y}
		if ids[p.ID] || places[place] || p.Title == "" || p.Type == "" || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 || len(p.Targets) == 0 {
			t.Errorf("panel %d (%s) lacks something, or its id or place is another's", p.ID, p.Title)
		}
		ids[p.ID], places[place] = true, true
		for _, target := range p.Targets {
			check(t, p.Title, target.Expr, known)
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "greenroom_") && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") && !strings.Contains(shown, name) {
			t.Errorf("%s is on no panel", name)
		}
	}
}
