package single

import (
	"context"
	"crypto/sha1" //nolint:gosec // the protocol of WebSockets asks for it
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/access"
	"greenroom/internal/access/backend"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/novncagent/static"
	"greenroom/internal/httpx"
	"greenroom/internal/logkey"
	"greenroom/internal/meetings"
)

// Bounds of what an agent is asked.
const (
	askTime      = 10 * time.Second // for its answer
	lookTime     = 4 * time.Second  // for that of a look, which is one of two that a verdict needs
	farewellTime = 5 * time.Second  // that a desktop which is to go has to tell its page so
	maxAnswer    = 64 << 10         // bytes that are read, and thrown away, to keep the connection
	maxCookie    = 128
)

// websockify carries the screen between the page and the desktop, for those with a pass, and from this desktop's page only.
func (h *Handler) websockify(w http.ResponseWriter, r *http.Request) {
	way, ok := h.find(w, r)
	if !ok {
		return
	}
	h.secured(w, "")
	pass, in := h.holds(r, way)
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	switch {
	case !in:
		h.counts.Refuse(access.Unproved)
		http.Error(w, "this needs the cookie that the desktop's page has", http.StatusForbidden)
		return
	case r.Header.Get("Origin") != h.origin || foreign(r):
		h.counts.Refuse(access.Unproved)
		http.Error(w, "this is for the desktop's own page", http.StatusForbidden)
		return
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.ProtoMajor != 1 || r.Header.Get("Sec-Websocket-Version") != "13" || err != nil || len(key) != 16:
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	case !h.sockets.Enter():
		h.refuse(w, r, http.StatusServiceUnavailable, way, static.Page{Heading: "This server is being restarted", Message: "Your desktop goes on.", Retry: "."})
		return
	}
	desktop, err := h.open(r, target(r, way), pass, r.Header.Get("Sec-Websocket-Key"))
	if err != nil {
		h.sockets.Leave()
		h.unanswered(w, r, way, err)
		return
	}
	h.counts.Pass()
	h.take(w, r, way, pass, desktop)
}

// unanswered says in words that there is no stream.
func (h *Handler) unanswered(w http.ResponseWriter, r *http.Request, way meetings.Way, err error) {
	if r.Context().Err() == nil { // the participant is there
		h.counts.Refuse(access.Unreachable)
		h.o.Logger.WarnContext(r.Context(), "desktop did not answer", logkey.Instance, way.InstanceID, logkey.Address, way.Addresses, logkey.Err, err)
	}
	why := "the desktop does not answer"
	if errors.Is(err, backend.ErrOtherKey) {
		why = "something else answers in the desktop's place; nothing was sent there"
	}
	http.Error(w, why, http.StatusBadGateway)
}

// take answers the browser in the server's own words, whatever the agent's were, and joins the two.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, way meetings.Way, pass string, desktop io.ReadWriteCloser) {
	head := w.Header()
	head.Set("Upgrade", "websocket")
	head.Set("Connection", "Upgrade")
	head.Set("Sec-Websocket-Accept", accept(r.Header.Get("Sec-Websocket-Key")))
	if offers(r, "binary") {
		head.Set("Sec-Websocket-Protocol", "binary")
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		h.o.Logger.ErrorContext(r.Context(), "connection could not be taken over", logkey.Err, err)
		desktop.Close()
		h.sockets.Leave()
		return
	}
	early, _ := buffered.Peek(buffered.Reader.Buffered()) // never more than there is
	early = append([]byte(nil), early...)
	if buffered.Flush() != nil {
		client.Close() // the session ends as it begins
	}
	ctx, end := context.WithCancel(h.base)
	backend.Relay(ctx, client, desktop, early, func() { end(); h.sockets.Leave() })
	go h.watch(ctx, end, way, pass)
}

// watch ends a session whose pass is no good any more. A desktop that is to go is given a moment to tell its page.
func (h *Handler) watch(ctx context.Context, end context.CancelFunc, way meetings.Way, pass string) {
	changed := h.o.Hub.Subscribe(ctx, way.Meeting())
	for {
		now, err := h.o.Desktops.WayByInstance(ctx, way.InstanceID)
		switch {
		case errors.Is(err, greenroom.ErrNotFound), err == nil && !now.Open:
			select {
			case <-ctx.Done():
			case <-time.After(farewellTime):
				end()
			}
			return
		case err == nil && !h.o.Desktops.Holds(now, pass):
			end()
			return
		}
		select {
		case <-ctx.Done():
			return
		case _, ok := <-changed:
			if !ok { // the server stops, and gives sessions their time
				return
			}
		}
	}
}

// accept is what a server answers to a WebSocket's key.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// offers reports whether the browser speaks the subprotocol.
func offers(r *http.Request, protocol string) bool {
	for _, line := range r.Header.Values("Sec-Websocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(name) == protocol {
				return true
			}
		}
	}
	return false
}

// mode is how the page asks for the screen, as the agent's query; nothing else of the browser's query goes there.
func mode(r *http.Request) string {
	switch m := r.URL.Query().Get("mode"); m {
	case "ask", "takeover", "watch":
		return "?mode=" + m
	}
	return ""
}

// errNoSession says that the agent does not know the session.
var errNoSession = errors.New("the agent does not know the session")

// open begins a stream with the agent. It takes a session that is known, or opens one.
func (h *Handler) open(r *http.Request, t backend.Target, pass, key string) (io.ReadWriteCloser, error) {
	client := httpx.ClientAddr(r)
	for fresh := false; ; fresh = true {
		cookie, err := h.session(r.Context(), t, client, pass, fresh)
		if err != nil {
			return nil, err
		}
		stream, err := h.upgrade(r.Context(), t, client, cookie, key, mode(r))
		if !errors.Is(err, errNoSession) || fresh {
			return stream, err
		}
	}
}

// request is one to the agent. Nothing of the browser's is in it.
func request(ctx context.Context, t backend.Target, client, pathAndQuery string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(backend.With(ctx, t), http.MethodGet, "https://"+backend.Host(t.Way.Hostname, client)+pathAndQuery, nil)
	if err != nil {
		return nil, err
	}
	req.Host = t.Way.Hostname
	req.Header.Set("User-Agent", "greenroom")
	return req, nil
}

// ask makes a request and throws the answer's body away.
func (h *Handler) ask(req *http.Request) (*http.Response, error) {
	resp, err := h.back.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return resp, err
}

// session returns the cookie of a session with the agent: one that is known or, if fresh, a new one.
func (h *Handler) session(ctx context.Context, t backend.Target, client, pass string, fresh bool) (string, error) {
	name := t.Way.Hostname + " " + client + " " + greenroom.HashSecret(pass) // the agent tells browsers apart by their sessions
	if cookie := h.agents.get(name); cookie != "" && !fresh {
		return cookie, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := request(ctx, t, client, "/?authToken="+h.o.Desktops.Opening(t.Way, client))
	if err != nil {
		return "", err
	}
	resp, err := h.ask(req) //nolint:bodyclose // ask has closed it
	if err != nil {
		return "", err
	}
	for _, c := range resp.Cookies() {
		if c.Name == agentapi.SessionCookie && len(c.Value) <= maxCookie {
			h.agents.put(name, c.Value)
			return c.Value, nil
		}
	}
	return "", fmt.Errorf("open a session with the agent: it answers %d", resp.StatusCode)
}

// upgrade asks the agent for the stream. ctx bounds the answer alone.
func (h *Handler) upgrade(ctx context.Context, t backend.Target, client, cookie, key, mode string) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	late := time.AfterFunc(askTime, cancel)
	req, err := request(ctx, t, client, "/websockify"+mode)
	if err != nil {
		cancel()
		return nil, err
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": key,
		"Sec-Websocket-Protocol": "binary", "Origin": "https://" + t.Way.Hostname, "Cookie": agentapi.SessionCookie + "=" + cookie,
	} {
		req.Header.Set(name, value)
	}
	resp, err := h.back.RoundTrip(req)
	if err != nil {
		cancel()
		return nil, err
	}
	stream, ok := resp.Body.(io.ReadWriteCloser)
	switch {
	case !late.Stop():
		err = context.DeadlineExceeded
	case resp.StatusCode == http.StatusUnauthorized:
		err = errNoSession
	case resp.StatusCode != http.StatusSwitchingProtocols || !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") || resp.Header.Get("Sec-Websocket-Accept") != accept(key):
		err = fmt.Errorf("open the stream: the agent answers %d", resp.StatusCode)
	default:
		return &upgraded{stream, cancel}, nil
	}
	resp.Body.Close()
	cancel()
	return nil, err
}

// upgraded is a stream whose request ends with it.
type upgraded struct {
	io.ReadWriteCloser
	done context.CancelFunc
}

func (u *upgraded) Close() error {
	defer u.done()
	return u.ReadWriteCloser.Close()
}

// CloseWrite says that no more will come.
func (u *upgraded) CloseWrite() error {
	if half, ok := u.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}

// agents are the sessions with agents, by desktop, client and pass. What is forgotten is opened again.
type agents struct {
	mu      sync.Mutex
	cookies map[string]string
}

func (a *agents) get(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cookies[name]
}

func (a *agents) put(name, cookie string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.cookies) >= maxOpen {
		clear(a.cookies)
	}
	a.cookies[name] = cookie
}

// version tells whoever asks, the probe above all, whether a participant would see the desktop: the page is here, and the screen
// answers by way of its agent. Status 502 is the desktop's fault, and 503 is not.
func (h *Handler) version(w http.ResponseWriter, r *http.Request) {
	h.secured(w, "")
	way, err := h.o.Desktops.WayByInstance(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, greenroom.ErrNotFound), err == nil && !way.Open && !way.Proving:
		http.Error(w, "there is no such desktop", http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "the desktop cannot be looked up just now", http.StatusServiceUnavailable)
		return
	case !static.Built():
		http.Error(w, "this build has no desktop page", http.StatusInternalServerError)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookTime)
	defer cancel()
	req, err := request(ctx, target(r, way), httpx.ClientAddr(r), "/version")
	var resp *http.Response
	if err == nil {
		resp, err = h.ask(req) //nolint:bodyclose // ask has closed it
	}
	switch {
	case errors.Is(err, backend.ErrOtherKey):
		http.Error(w, "something else answers in the desktop's place", http.StatusBadGateway)
	case err != nil:
		h.o.Logger.DebugContext(r.Context(), "desktop did not answer a look", logkey.Instance, way.InstanceID, logkey.Err, err)
		http.Error(w, "the desktop does not answer", http.StatusBadGateway)
	case resp.StatusCode != http.StatusOK:
		http.Error(w, "the screen does not answer", http.StatusBadGateway)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "greenroom desktop\n") // the client has gone if this fails
	}
}
