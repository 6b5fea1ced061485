package httpapi

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"

	"greenroom"
	"greenroom/internal/dcv"
	"greenroom/internal/httpx"
)

// resolverRoute adds what Amazon's DCV Connection Gateway asks, for the networks that may.
func (a *api) resolverRoute(mux *http.ServeMux, networks []netip.Prefix) {
	if len(networks) == 0 {
		return
	}
	mux.HandleFunc("POST "+dcv.ResolvePath, func(w http.ResponseWriter, r *http.Request) {
		asker, _ := netip.ParseAddr(httpx.ClientAddr(r))
		if !slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(asker) }) {
			httpx.Forbidden.Problem("Only networks in resolver_networks may ask for sessions.").Write(w)
			return
		}
		a.resolveSession(w, r)
	})
}

// resolveSession tells a connection gateway where a session is. People know it by its instance id, and the desktop's
// own DCV server by "console".
func (a *api) resolveSession(w http.ResponseWriter, r *http.Request) {
	q, err := dcv.ParseResolveRequest(r)
	if err != nil {
		httpx.Malformed.Problem("Invalid resolveSession request: " + err.Error() + ".").Write(w)
		return
	}
	way, err := a.service.WayByInstance(r.Context(), q.SessionID)
	switch {
	case errors.Is(err, greenroom.ErrNotFound) || err == nil && !way.Open:
		httpx.NotFound.Problem("There is no such session.").Write(w)
	case err != nil:
		a.problem(r, err).Write(w)
	default:
		send(w, http.StatusOK, dcv.Resolved(q, way.Addresses[0].String()))
	}
}
