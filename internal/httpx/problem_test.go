package httpx_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"greenroom/internal/httpx"
)

// TestWhoIsRefusedForNowMayAskAnotherReplica wants the next request on a connection of its own after "unavailable", and on the
// same one after any other problem.
func TestWhoIsRefusedForNowMayAskAnotherReplica(t *testing.T) {
	t.Parallel()
	for _, kind := range httpx.Kinds() {
		t.Run(kind.Slug, func(t *testing.T) {
			t.Parallel()
			var from []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				from = append(from, r.RemoteAddr)
				kind.Problem("Not now.").Write(w)
			}))
			t.Cleanup(server.Close)
			for range 2 {
				resp, err := server.Client().Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			if moved := from[0] != from[1]; moved != (kind == httpx.Unavailable) {
				t.Errorf("asked again from %s after %s", from[1], from[0])
			}
		})
	}
}
