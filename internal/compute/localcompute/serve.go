package localcompute

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"greenroom/internal/compute"
	"greenroom/internal/logkey"
)

// hosting is the host as it serves other processes.
type hosting struct {
	host   *host
	server *http.Server
	ended  chan struct{} // closed when it serves no more
}

// serve answers on the listener until close. Whoever can open the socket is this user.
func serve(h *host, listener net.Listener) *hosting {
	mux := http.NewServeMux()
	mux.Handle("POST "+launchPath, handle(h.launchAll))
	mux.Handle("POST "+listPath, handle(h.List))
	mux.Handle("POST "+terminatePath, handle(func(ctx context.Context, ids []string) (any, error) { return nil, h.Terminate(ctx, ids...) }))
	s := &hosting{host: h, ended: make(chan struct{}), server: &http.Server{
		Handler: mux, ReadHeaderTimeout: callTime, ReadTimeout: callTime, WriteTimeout: 3 * callTime, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 4 << 10, ErrorLog: slog.NewLogLogger(h.opts.Logger.Handler(), slog.LevelDebug),
	}}
	go func() {
		defer close(s.ended)
		if err := s.server.Serve(netutil.LimitListener(listener, maxClients)); !errors.Is(err, http.ErrServerClosed) {
			h.opts.Logger.Error("local desktops no longer served to other processes", logkey.Err, err)
		}
	}()
	return s
}

// close lets calls end, removes the socket, and ends the host.
func (s *hosting) close() {
	ctx, cancel := context.WithTimeout(context.Background(), parting)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close()
	}
	<-s.ended
	s.host.close()
}

func (h *host) launchAll(ctx context.Context, requests []compute.Request) ([]outcome, error) {
	outcomes := make([]outcome, len(requests))
	for i, o := range h.Launch(ctx, requests) {
		if errors.Is(o.Err, errClosed) {
			return nil, o.Err // the next host knows what became of the others
		}
		outcomes[i] = outcome{Instance: o.Instance, Failure: fail(o.Err)}
	}
	return outcomes, nil
}

// handle answers one call, whose end the caller has set.
func handle[In, Out any](call func(context.Context, In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadline, err := time.Parse(time.RFC3339Nano, r.Header.Get(deadlineHeader))
		if err != nil {
			http.Error(w, "a call must say when it ends", http.StatusBadRequest)
			return
		}
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var in In
		if err = errors.Join(err, json.Unmarshal(text, &in)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithDeadline(r.Context(), deadline)
		defer cancel()
		out, err := call(ctx, in)
		if errors.Is(err, errClosed) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer{Value: out, Failure: fail(err)}) // who asked is gone, or asks again
	})
}
