package link_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/link"
)

// TestReporterWithAControlPlaneThatHolds says what is new while an answer is held, hears what is new in it, and does not ask
// again and again where nothing is held.
func TestReporterWithAControlPlaneThatHolds(t *testing.T) {
	t.Parallel()
	reports, news, givenUp := make(chan agentapi.Report, 100), make(chan agentapi.Orders), make(chan struct{}, 100)
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+agentapi.EnrolPath, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(agentapi.Enrolled{AgentToken: "token", Hostname: "i-1.desk.localhost"})
	})
	mux.HandleFunc("POST "+agentapi.CertificatePath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("POST "+agentapi.ReportPath, func(w http.ResponseWriter, r *http.Request) {
		var in agentapi.Report
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		reports <- in
		var out agentapi.Orders
		if in.Heard != nil {
			select {
			case out = <-news:
			case <-r.Context().Done():
				givenUp <- struct{}{}
				return
			}
		}
		_ = json.NewEncoder(w).Encode(out)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	control, err := link.NewControl(func() (agentapi.UserData, error) { return agentapi.UserData{ControlURL: server.URL}, nil })
	if err != nil {
		t.Fatal(err)
	}
	key, err := link.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	identity, err := link.NewIdentity(control, key, "i-1", "test", logger)
	if err != nil {
		t.Fatal(err)
	}
	r := &link.Reporter{
		Control: control, Identity: identity, Report: link.NewWatched(agentapi.Report{}), Notice: link.NewWatched(link.Notice{}), Logger: logger,
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = identity.Run(ctx) }()
	go func() { _ = r.Run(ctx) }()

	next := func(what string) agentapi.Report {
		t.Helper()
		select {
		case in := <-reports:
			return in
		case <-time.After(agentapi.HoldFor):
			t.Fatalf("no report in %s: %s", agentapi.HoldFor, what)
			return agentapi.Report{}
		}
	}
	if in := next("the first"); in.Heard != nil {
		t.Errorf("the first report has heard %+v", in.Heard)
	}
	if in := next("the one that is held"); in.Heard == nil {
		t.Error("nothing was heard")
	}
	r.Report.Update(func(in *agentapi.Report) { in.Ready = true })
	if in := next("news of the desktop, while an answer is held"); !in.Ready {
		t.Errorf("reported %+v", in)
	}
	<-givenUp // the call that was held must not take the news of the one that took its place
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	news <- agentapi.Orders{EndsAt: end}
	if in := next("the one after news were heard"); in.Heard == nil || !in.Heard.EndsAt.Equal(end) {
		t.Errorf("heard %+v", in.Heard)
	}
	if n, _ := r.Notice.Get(); !n.EndsAt.Equal(end) {
		t.Errorf("the notice is %+v", n)
	}
	news <- agentapi.Orders{EndsAt: end} // as if it were not held
	select {
	case in := <-reports:
		t.Errorf("it asks again at once: %+v", in)
	case <-time.After(time.Second):
	}
}
