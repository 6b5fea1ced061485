package novncagent

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"greenroom/internal/logkey"
)

// Bounds of a look at the screen.
const (
	answerTime = time.Second            // a screen that takes longer does not answer
	goodFor    = 500 * time.Millisecond // a look serves all who ask so soon after it
)

// answers reports whether the screen speaks: it says its version on a new connection.
func answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return handshake(ctx)
}

// health looks at the screen for all who ask, one look at a time: whoever reaches the desktop may ask.
type health struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

func (h *health) check(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) > goodFor {
		h.err = answers(context.WithoutCancel(ctx))
		h.at = time.Now()
	}
	return h.err
}

// versionPage is what the probe looks at: the desktop is there once its screen is, and as long as the screen answers.
func (s *server) versionPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if report, _ := s.report.Get(); !report.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "the screen is not up yet\n")
		return
	}
	if err := s.health.check(r.Context()); err != nil {
		s.logger.Debug("screen does not answer", logkey.Err, err)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "the screen does not answer\n")
		return
	}
	_, _ = io.WriteString(w, "greenroom desktop "+s.version+"\n")
}
