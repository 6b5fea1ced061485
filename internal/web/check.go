package web

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// Bounds of the lobby's connection check.
const (
	checkLife   = 10 * time.Second
	checkRounds = 8
)

// checkSocket sends back what it is sent, a few times, so that the lobby can tell before the meeting whether
// WebSockets pass between the participant and us, and how long a round trip takes. Desktops are painted
// through one; some networks let pages through and those not.
func (w *Web) checkSocket(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.accept(rw, r)
	if err != nil {
		return nil // Accept has answered
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(64)
	ctx, cancel := context.WithTimeout(r.Context(), checkLife)
	defer cancel()
	for range checkRounds {
		kind, data, err := c.Read(ctx)
		if err != nil {
			return nil
		}
		if err := c.Write(ctx, kind, data); err != nil {
			return nil
		}
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	return nil
}
