package httpapi

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/queryparam"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

const joinPath = "/api/v1/join/{id}/{seat}"

// participantRoutes stand beside huma and are only documented through it: lobbies ask often, and reading the
// request and writing the answer by reflection costs as much as all the rest.
func (a *api) participantRoutes(mux *http.ServeMux, h huma.API) {
	mux.HandleFunc("GET "+joinPath, a.standing)
	mux.HandleFunc("POST "+joinPath, a.enter)
	mux.HandleFunc(joinPath, func(w http.ResponseWriter, r *http.Request) { wrongMethod(w, r, http.MethodGet, http.MethodPost) })

	schemas := h.OpenAPI().Components.Schemas
	text := &huma.Schema{Type: huma.TypeString}
	answer := func(description string, t reflect.Type) *huma.Response {
		return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(t, true, "")}}}
	}
	describe := func(method, id, summary, description string, ok *huma.Response) {
		op := &huma.Operation{Method: method, Path: joinPath, OperationID: id, Summary: summary, Description: description, Tags: []string{"Participant"},
			Parameters: []*huma.Param{
				{Name: "id", In: "path", Required: true, Schema: text, Description: "Of the meeting."},
				{Name: "seat", In: "path", Required: true, Schema: text, Description: "Id of the seat."},
				{Name: "key", In: "query", Required: true, Schema: text, Description: "The secret of the join link."},
			},
			Responses: map[string]*huma.Response{
				"200": ok,
				"202": answer("Not yet: the state of the seat; Retry-After has the seconds until the next try.", reflect.TypeFor[wire.Standing]()),
			}}
		for status, description := range map[string]string{"403": "The key is not this seat's.", "404": "There is no such meeting or seat.", "410": "The meeting is over; end_reason says why.", "422": "The key is given more than once.", "429": "Too many tries."} {
			op.Responses[status] = &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{Ref: problemRef}}}}
		}
		h.OpenAPI().AddOperation(op)
	}
	describe(http.MethodGet, "standing", "Where this seat stands", "Changes nothing: link previews fetch links.",
		answer("The desktop is ready: a POST answers with the entry URL.", reflect.TypeFor[wire.Standing]()))
	describe(http.MethodPost, "enter", "Enter", "A seat whose desktop is gone gets a new one.",
		answer("The entry URL, with a fresh desktop token.", reflect.TypeFor[wire.Entry]()))
}

func (a *api) standing(w http.ResponseWriter, r *http.Request) {
	st, p := a.joined(r, a.service.Standing)
	switch {
	case p != nil:
		p.Write(w)
	case st.CanEnter:
		send(w, http.StatusOK, standing(st))
	default:
		notYet(w, st)
	}
}

func (a *api) enter(w http.ResponseWriter, r *http.Request) {
	st, p := a.joined(r, func(ctx context.Context, id, seat, key string) (meetings.Standing, error) {
		return a.service.Enter(ctx, id, seat, key, httpx.ClientAddr(r))
	})
	switch {
	case p != nil:
		p.Write(w)
	case st.URL != "":
		send(w, http.StatusOK, wire.Entry{URL: st.URL})
	default:
		notYet(w, st)
	}
}

func notYet(w http.ResponseWriter, st meetings.Standing) {
	w.Header().Set("Retry-After", httpx.Seconds(st.RetryIn))
	send(w, http.StatusAccepted, standing(st))
}

// joined asks within the limits, and translates the errors of joining.
func (a *api) joined(r *http.Request, ask func(ctx context.Context, id, seat, key string) (meetings.Standing, error)) (meetings.Standing, *httpx.Problem) {
	id, seat, key := r.PathValue("id"), r.PathValue("seat"), queryparam.Get(r.URL.RawQuery, "key")
	var st meetings.Standing
	if len(r.URL.Query()["key"]) > 1 {
		return st, httpx.InvalidInput.Fields(httpx.FieldProblem{Field: "key", Message: "is a duplicate parameter: give it once"})
	}
	look := func() (err error) {
		st, err = ask(r.Context(), id, seat, key)
		return err
	}
	var err error
	if r.Method == http.MethodPost {
		err = a.joins.Enter(r, id, seat, key, look)
	} else {
		err = a.joins.Ask(r, id, seat, look)
	}
	if err == nil {
		return st, nil
	}
	p := a.problem(r, err)
	if errors.Is(err, greenroom.ErrEnded) {
		p.State, p.EndReason = string(st.State), string(st.EndReason)
	}
	return st, p
}
