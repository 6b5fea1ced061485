package web

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"greenroom"
	"greenroom/internal/sse"
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

// checkPause is between the two events of checkEvents: a proxy that collects streams delivers both at once.
const checkPause = time.Second

// checkEvents sends two events with a pause between, so that the doctor can tell whether a proxy in front collects streams.
func (w *Web) checkEvents(rw http.ResponseWriter, r *http.Request) error {
	const topic = "check"
	if !w.sockets.take(topic) {
		return greenroom.ErrThrottled
	}
	defer w.sockets.give(topic)
	out, err := sse.Start(rw, 0)
	for i := 0; err == nil && i < 2; i++ {
		if i > 0 {
			select {
			case <-r.Context().Done():
				return nil
			case <-time.After(checkPause):
			}
		}
		err = out.Send(sse.Event{Kind: "check", Data: i})
	}
	return nil // the client has gone if there was an error
}
