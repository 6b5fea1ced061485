// Package web is greenroom's pages: where organisers schedule and watch meetings, and the lobby where
// participants wait for their desktop. Pages are rendered on the server and work without scripts; the
// scripts keep them live. Nothing is decided here: every page is a face of package meetings.
package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"greenroom/internal/httpx"
)

// Options are the parts that pages are made from.
type Options struct {
	Service   service
	Hub       hub // nil: open pages ask again now and then instead of being told
	Logger    *slog.Logger
	PublicURL string                              // where people reach these pages; https makes cookies Secure
	GoodToken goodToken                           // judges the token on the sign-in page; nil where nobody need sign in
	Joins     *httpx.Joins                        // in front of join links, the API's own as well; nil: of the pages alone
	Wrong     func(r *http.Request) time.Duration // counts a wrong token on the sign-in page, and says after how long another try makes sense; may be nil
	Gallery   bool                                // also serve /gallery, for people who work on the pages
}

// goodToken reports whether a token is an organiser's.
type goodToken = func(ctx context.Context, token string) (bool, error)

// Web serves the pages.
type Web struct {
	service   service
	hub       hub
	log       *slog.Logger
	goodToken goodToken
	secure    bool
	gallery   bool
	view      *renderer
	joins     *httpx.Joins
	wrong     func(r *http.Request) time.Duration
	origins   []string // hosts of pages that may open sockets, beside the one that a request is for
	sockets   slots
}

// New returns the pages. It fails if a template or the bundle's manifest is broken; a bundle that was not
// built is no failure: the pages say so.
func New(o Options) (*Web, error) {
	dist, err := fs.Sub(bundle, "static/dist")
	if err != nil {
		return nil, err
	}
	view, err := newRenderer(dist)
	if err != nil {
		return nil, err
	}
	public, err := url.Parse(o.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("read the public URL: %w", err)
	}
	return &Web{
		service: o.Service, hub: o.Hub, log: o.Logger, goodToken: o.GoodToken,
		secure: public.Scheme == "https", gallery: o.Gallery, view: view,
		joins: cmp.Or(o.Joins, httpx.NewJoins()), wrong: o.Wrong, origins: hosts(public),
	}, nil
}

func hosts(u *url.URL) []string {
	if u.Host == "" {
		return nil
	}
	return []string{u.Host}
}

// Register adds the pages to mux. It takes "/" too: what nothing else on the mux knows gets a page that says so.
// Who may see the organiser's pages is for httpx.Guard, which is in front of all of them.
func (w *Web) Register(mux *http.ServeMux) {
	mux.Handle("GET /static/", http.StripPrefix("/static/", w.view.assets))
	mux.Handle("GET /login", w.page(w.showLogin))
	mux.Handle("POST /login", w.page(w.login))
	mux.Handle("POST /logout", w.page(w.logout))

	mux.Handle("GET /{$}", w.page(w.home))
	mux.Handle("GET /when", w.page(w.explainWhen))
	mux.Handle("GET /meetings", w.page(w.list))
	mux.Handle("POST /meetings", w.page(w.schedule))
	mux.Handle("GET /meetings/{id}", w.page(w.meeting))
	mux.Handle("GET /meetings/{id}/live", w.page(w.live))
	mux.Handle("POST /meetings/{id}/edit", w.page(w.edit))
	mux.Handle("POST /meetings/{id}/extend", w.page(w.extend))
	mux.Handle("POST /meetings/{id}/end", w.page(w.end))
	mux.Handle("POST /meetings/{id}/cancel", w.page(w.cancel))
	mux.Handle("POST /meetings/{id}/seats", w.page(w.addSeats))
	mux.Handle("POST /meetings/{id}/seats/{seat}/key", w.page(w.reissue))
	mux.Handle("POST /meetings/{id}/seats/{seat}/connections/{connection}/close", w.page(w.disconnect))
	for _, what := range []string{"edit", "remove", "replace"} {
		mux.Handle("POST /meetings/{id}/seats/{seat}/"+what, w.page(w.aboutSeat(what)))
	}

	mux.Handle("GET /join/{id}/{seat}", w.page(w.lobby))
	mux.Handle("POST /join/{id}/{seat}", w.page(w.enter))
	mux.Handle("GET /join/{id}/{seat}/live", w.page(w.lobbyLive))
	mux.Handle("GET /check/socket", w.page(w.checkSocket))
	mux.Handle("GET /check/events", w.page(w.checkEvents))
	if w.gallery {
		mux.Handle("GET /gallery", w.Gallery())
		mux.Handle("GET /gallery/{page}", w.Gallery())
	}
	mux.Handle("/", w.page(unknown(mux)))
}
