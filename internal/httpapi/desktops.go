package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/dcv"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

// desktopRoutes are for machines only and stand outside the OpenAPI document.
func (a *api) desktopRoutes(routes *http.ServeMux) {
	routes.HandleFunc("POST /dcv/verify/{secret}", a.verifyToken)
	routes.HandleFunc("POST "+agentapi.EnrolPath, agentCall(a, a.service.Enrol))
	routes.HandleFunc("POST "+agentapi.CertificatePath, agentCall(a, a.service.Certificate))
	routes.HandleFunc("POST "+agentapi.ReportPath, agentCall(a, a.report))
	routes.HandleFunc("PUT "+agentapi.SessionDataPath, agentCall(a, func(ctx context.Context, bearer string, in agentapi.SessionData) (none, error) {
		return none{}, a.service.AgentSessionData(ctx, bearer, in.URL)
	}))
}

// report takes a desktop's report. An answer that the desktop has heard already waits for news of its meeting, so that an
// extension and the end are on its screen at once.
func (a *api) report(ctx context.Context, bearer string, in agentapi.Report) (agentapi.Orders, error) {
	var hints <-chan struct{}
	if meeting := meetings.Claimed(bearer); in.Heard != nil && a.hub != nil && meeting != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		hints = a.hub.Subscribe(ctx, meeting) // before the first look: what changes after it is hinted at
	}
	out, err := a.service.Report(ctx, bearer, in)
	end := time.NewTimer(agentapi.HoldFor)
	defer end.Stop()
	for hints != nil && err == nil && in.Heard.Same(out) {
		select {
		case <-ctx.Done():
			return out, nil
		case <-end.C:
			return out, nil
		case _, open := <-hints:
			if !open {
				return out, nil
			}
		}
		out, err = a.service.Orders(ctx, bearer)
	}
	return out, err
}

type none struct{}

// agentCall reads an agent's document, makes the call, and writes the answer.
func agentCall[I, O any](a *api, call func(ctx context.Context, bearer string, in I) (O, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		bearer := httpx.Bearer(r)
		if bearer == "" {
			httpx.Unauthorised.Problem("Give the desktop's secret: Authorization: Bearer SECRET.").Write(w)
			return
		}
		var in I
		if p := read(r, &in); p != nil {
			a.refused(r, bearer, p)
			p.Write(w)
			return
		}
		out, err := call(r.Context(), bearer, in)
		if err == nil {
			connlimit.Prove(r.Context(), "desktop "+meetings.Claimed(bearer))
		}
		if errors.Is(err, greenroom.ErrForbidden) {
			a.machines.Wrong(r.Context(), httpx.ClientKey(r), "") // the answer stays what it is: agents of ended desktops stop at it
			httpx.Unauthorised.Problem("The secret is not, or no longer, any desktop's.").Write(w)
			return
		}
		if err != nil {
			a.problem(r, err).Write(w)
			return
		}
		answer(w, out)
	}
}

// refused puts a document that could not be read on the timeline of the desktop that sent it.
func (a *api) refused(r *http.Request, bearer string, p *httpx.Problem) {
	why := "A document from the desktop's agent was refused: it is malformed."
	if p.Status == http.StatusRequestEntityTooLarge {
		why = "A document from the desktop's agent was refused: it is too large."
	}
	if err := a.service.RefuseCall(r.Context(), bearer, why); err != nil && !errors.Is(err, greenroom.ErrForbidden) {
		_ = httpx.Note(r, a.log, err) // the sender is told of its document
	}
}

// read decodes one JSON document. Unknown fields are ignored: an agent may be newer than the control plane.
func read(r *http.Request, into any) *httpx.Problem {
	body, err := io.ReadAll(io.LimitReader(r.Body, agentapi.MaxBody+1))
	switch {
	case len(body) > agentapi.MaxBody:
		return httpx.TooLarge.Problem("The body is too large: 64 KiB at most.")
	case err != nil:
		return httpx.Malformed.Problem("The body did not arrive whole.")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return httpx.Malformed.Problem("The body is not the JSON document that belongs here: " + strings.TrimPrefix(err.Error(), "json: ") + ".")
	}
	return nil
}

func answer(w http.ResponseWriter, out any) {
	switch o := out.(type) {
	case none:
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
	case agentapi.Certificate:
		if o.Certificate == "" {
			send(w, http.StatusAccepted, out)
			return
		}
		send(w, http.StatusOK, out)
	default:
		send(w, http.StatusOK, out)
	}
}

// verifyToken answers a DCV server. It is always answered with 200: of the answer only the body is specified.
func (a *api) verifyToken(w http.ResponseWriter, r *http.Request) {
	secret := r.PathValue("secret")
	var v meetings.Verdict
	q, err := dcv.ParseVerifyRequest(r)
	if err != nil {
		v, err = a.service.RefuseQuestion(r.Context(), secret, err.Error())
	} else {
		v, err = a.service.Verify(r.Context(), secret, q.SessionID, q.Token, q.ClientAddress)
	}
	if err != nil {
		_ = httpx.Note(r, a.log, err) // the asker is a DCV server: it is told in its own words
		v = meetings.Verdict{Message: "nothing could be decided; try again"}
	}
	if !v.OK { // a DCV server asks for whoever connects to it: many wrong tokens in a row are answered slowly, and no right one
		a.machines.Wrong(r.Context(), httpx.ClientKey(r)+"@"+greenroom.HashSecret(secret), "")
	}
	w.Header().Set(agentapi.LinksHeader, strconv.Itoa(v.Links))
	_ = dcv.WriteVerdict(w, v.OK, v.Username, v.Message) // the asker has gone if this fails
}
