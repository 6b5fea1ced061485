package httpapi

import (
	"io"
	"net/http"

	"greenroom/internal/httpx"
	"greenroom/internal/logkey"
)

// registerOperations adds what operators and their machines ask.
func registerOperations(mux *http.ServeMux, o Options) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, "text/plain; charset=utf-8", "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if o.Ready != nil {
			if err := o.Ready(r.Context()); err != nil {
				o.Logger.WarnContext(r.Context(), "not ready", logkey.Err, err)
				httpx.Unavailable.Problem("The server cannot serve at the moment; its log says why.").Write(w)
				return
			}
		}
		plain(w, "text/plain; charset=utf-8", "ready\n")
	})
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
	}
	if o.LocalCA != nil {
		mux.HandleFunc("GET /ca.pem", func(w http.ResponseWriter, _ *http.Request) {
			plain(w, "application/x-pem-file", string(o.LocalCA()))
		})
	}
}

func plain(w http.ResponseWriter, contentType, text string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text)
}
