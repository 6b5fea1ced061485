// Package single serves desktops below the address of pages and API, as /d/<instance id>/. The page is greenroom's own, and of what
// the desktop's agent answers only the screen's stream reaches the browser: nothing that a participant controls runs on the
// organiser's origin.
package single

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"greenroom/internal/access"
	"greenroom/internal/access/backend"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/novncagent/static"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

// Prefix is what the paths of desktops begin with.
const Prefix = "/d/"

// Desktops knows the desktops and who may be in them; *meetings.Service does.
type Desktops interface {
	WayByInstance(ctx context.Context, id string) (meetings.Way, error)
	Admit(ctx context.Context, hostname, token, client string) (verdict meetings.Verdict, pass string, err error)
	Holds(w meetings.Way, pass string) bool
	Opening(w meetings.Way, client string) string
	Outlook(ctx context.Context, w meetings.Way) (agentapi.Orders, error)
}

// Hub tells of changes of meetings; *notify.Hub does.
type Hub interface {
	Subscribe(ctx context.Context, meetingID string) <-chan struct{}
}

// Options of a Handler. Zero values of the last three stand for the defaults.
type Options struct {
	Desktops  Desktops
	Hub       Hub
	PublicURL string          // of the pages: http or https, and a host
	Pool      *connlimit.Pool // of the listener's connections, for Stats
	Logger    *slog.Logger

	Port     int           // of the desktops; 8443
	DialTime time.Duration // until the desktop must have accepted and proved its key; 5 s
	Drain    time.Duration // that sessions are given to end by themselves when the server stops; 3 s
}

// Bounds of what is under way.
const (
	maxToken   = 512
	maxChecks  = 32   // of tokens at once
	maxWaiting = 1024 // that wait for their turn
	maxNotices = 32   // open event streams of one desktop
	maxOpen    = 4096 // sessions with agents that are remembered
)

// Handler serves desktops.
type Handler struct {
	o       Options
	origin  string // of the pages, as browsers write it
	cookie  string // its name
	secure  bool
	checks  *connlimit.Turns // of tokens
	wrong   *httpx.Guesses   // tokens
	back    *http.Transport
	agents  agents
	counts  access.Counts
	sockets access.Sessions
	notices slots
	base    context.Context // of WebSockets, which outlive their requests
	cut     context.CancelFunc
	files   map[string]file
}

// file is one of the page's scripts and styles.
type file struct {
	data []byte
	tag  string
}

// New returns a handler.
func New(o Options) (*Handler, error) {
	o.Drain = cmp.Or(o.Drain, 3*time.Second)
	origin, err := originOf(o.PublicURL)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		o: o, origin: origin, secure: strings.HasPrefix(origin, "https://"), cookie: "greenroom-desktop",
		checks: connlimit.NewTurns(maxChecks, maxWaiting), wrong: httpx.NewGuesses(time.Second/2, 30),
		back: backend.Transport(backend.Options{Port: o.Port, DialTime: o.DialTime}), files: map[string]file{},
	}
	h.agents.cookies = map[string]string{}
	if h.secure {
		h.cookie = "__Secure-greenroom-desktop" // browsers take it over TLS only
	}
	h.base, h.cut = context.WithCancel(context.Background())
	entries, err := fs.ReadDir(static.Dist(), ".")
	if err != nil {
		return nil, fmt.Errorf("read the desktop page's files: %w", err)
	}
	for _, e := range entries {
		data, err := fs.ReadFile(static.Dist(), e.Name())
		if err != nil {
			return nil, fmt.Errorf("read the desktop page's files: %w", err)
		}
		sum := sha256.Sum256(data)
		h.files[e.Name()] = file{data, `"` + hex.EncodeToString(sum[:16]) + `"`}
	}
	return h, nil
}

// originOf is the origin of the pages at public, without what browsers leave out.
func originOf(public string) (string, error) {
	u, err := url.Parse(public)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("address of the pages: %q has no host", public)
	}
	host := strings.ToLower(u.Host)
	if u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return u.Scheme + "://" + host, nil
}

// Register adds the routes.
func (h *Handler) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET "+Prefix+"{id}/{$}", h.home)
	mux.HandleFunc("GET "+Prefix+"{id}/version", h.version)
	mux.HandleFunc("GET "+Prefix+"{id}/status", h.status)
	mux.HandleFunc("GET "+Prefix+"{id}/notices", h.streamNotices)
	mux.HandleFunc("GET "+Prefix+"{id}/websockify", h.websockify)
	mux.HandleFunc("GET "+Prefix+"{id}/static/{file}", h.static)
	mux.HandleFunc(Prefix, func(w http.ResponseWriter, r *http.Request) {
		h.secured(w, "")
		http.Error(w, "there is nothing here", http.StatusNotFound)
	})
}

// Stats returns the counts.
func (h *Handler) Stats() access.Stats { return h.counts.Stats(h.o.Pool, &h.sockets) }

// Run returns after ctx has ended: it lets no more sessions begin then, gives those that are open Drain to end, and cuts the rest.
func (h *Handler) Run(ctx context.Context) error {
	<-ctx.Done()
	h.sockets.Drain(h.o.Drain, h.cut)
	h.back.CloseIdleConnections()
	return nil
}

// secured sets what every answer says to the browser. The page may load its own scripts and connect to its own desktop, and
// nothing else of the origin.
func (h *Handler) secured(w http.ResponseWriter, id string) {
	policy := "default-src 'none'; "
	if id != "" {
		own := h.origin + Prefix + id + "/"
		policy += "script-src " + own + "static/; style-src " + own + "static/; img-src data: blob:; " +
			"connect-src " + own + "status " + own + "notices " + "ws" + strings.TrimPrefix(own, "http") + "websockify; "
	}
	head := w.Header()
	head.Set("Content-Security-Policy", policy+"frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Cache-Control", "no-store")
}

// target is the desktop for the request's client.
func target(r *http.Request, way meetings.Way) backend.Target {
	t := backend.Target{Way: way, Client: r.RemoteAddr, Local: r.RemoteAddr}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		t.Local = local.String()
	}
	return t
}
