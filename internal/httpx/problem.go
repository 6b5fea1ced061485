// Package httpx is what the JSON API and the pages share of HTTP: the guard around every request (log,
// panics, headers, hosts, origins, bodies, organiser), problem documents, and limits on how often.
package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"greenroom"
	"greenroom/internal/logkey"
)

// Problem is an RFC 9457 problem document. It is an error, so that handlers can return it.
type Problem struct {
	Type   string         `json:"type" doc:"Stable name of the kind of problem." example:"/problems/invalid-input"`
	Title  string         `json:"title" doc:"The kind of problem in a few words." example:"The input has faults"`
	Status int            `json:"status" doc:"The HTTP status." example:"422"`
	Detail string         `json:"detail" doc:"What is wrong this time and what would be right: a sentence for people."`
	Field  string         `json:"field,omitempty" doc:"The first field at fault, as it is named in the request." example:"seats[1].role"`
	Errors []FieldProblem `json:"errors,omitempty" doc:"Every field at fault."`

	State     string `json:"state,omitempty" doc:"Of an ended meeting." enum:"ending,ended"`
	EndReason string `json:"end_reason,omitempty" doc:"Why a meeting is over." enum:"completed,no_show,ended_by_host,cancelled,expired,failed"`

	RetryAfter time.Duration `json:"-"` // sent as a header when positive
}

// FieldProblem says which field is wrong, and what would be right.
type FieldProblem struct {
	Field   string `json:"field" doc:"The field at fault, as it is named in the request."`
	Message string `json:"message" doc:"What would be right."`
}

// Kind is one of the kinds of problem that the server answers with.
type Kind struct {
	Slug   string
	Status int
	Title  string
}

// The kinds of problem. Their slugs are part of the API and stay.
var (
	Malformed       = Kind{"malformed", http.StatusBadRequest, "The request cannot be read"}
	Unauthorised    = Kind{"unauthorised", http.StatusUnauthorized, "Sign in first"}
	Forbidden       = Kind{"forbidden", http.StatusForbidden, "Not allowed"}
	CrossOrigin     = Kind{"cross-origin", http.StatusForbidden, "The request comes from another site"}
	NotFound        = Kind{"not-found", http.StatusNotFound, "There is no such thing"}
	WrongMethod     = Kind{"method-not-allowed", http.StatusMethodNotAllowed, "The method does not fit the address"}
	Conflict        = Kind{"conflict", http.StatusConflict, "It does not fit what is there"}
	Occupied        = Kind{"occupied", http.StatusConflict, "People are in the desktops"}
	Ended           = Kind{"ended", http.StatusGone, "The meeting is over"}
	Stale           = Kind{"stale", http.StatusPreconditionFailed, "The meeting was changed in the meantime"}
	TooLarge        = Kind{"too-large", http.StatusRequestEntityTooLarge, "The request is too large"}
	WrongMediaType  = Kind{"unsupported-media-type", http.StatusUnsupportedMediaType, "The request is not JSON"}
	Misdirected     = Kind{"misdirected", http.StatusMisdirectedRequest, "The request is for another host"}
	InvalidInput    = Kind{"invalid-input", http.StatusUnprocessableEntity, "The input has faults"}
	TooManyRequests = Kind{"too-many-requests", http.StatusTooManyRequests, "Too many requests"}
	ClientGone      = Kind{"client-gone", 499, "The client has gone"} // for the log: nobody reads it
	Internal        = Kind{"internal", http.StatusInternalServerError, "Internal error"}
	Unavailable     = Kind{"unavailable", http.StatusServiceUnavailable, "Not possible at the moment"}
)

// Kinds lists every kind of problem by status.
func Kinds() []Kind {
	return []Kind{
		Malformed, Unauthorised, Forbidden, CrossOrigin, NotFound, WrongMethod, Conflict, Occupied, Ended, Stale,
		TooLarge, WrongMediaType, Misdirected, InvalidInput, TooManyRequests, Internal, Unavailable,
	}
}

// Problem makes a document of the kind.
func (k Kind) Problem(detail string) *Problem {
	return &Problem{Type: "/problems/" + k.Slug, Title: k.Title, Status: k.Status, Detail: detail}
}

// Fields makes a document of the kind that names the fields at fault.
func (k Kind) Fields(fields ...FieldProblem) *Problem {
	p := k.Problem("")
	for i, f := range fields {
		if i > 0 {
			p.Detail += "; "
		}
		p.Detail += f.Field + ": " + f.Message
	}
	if len(fields) > 0 {
		p.Field, p.Errors = fields[0].Field, fields
	}
	return p
}

func (p *Problem) Error() string { return p.Detail }

// Is makes a problem of too many requests an ErrThrottled.
func (p *Problem) Is(target error) bool {
	return target == greenroom.ErrThrottled && p.Status == http.StatusTooManyRequests
}

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are the headers that go with the problem.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{"Cache-Control": {"no-store"}}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", Seconds(p.RetryAfter))
	}
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="greenroom"`)
	case http.StatusServiceUnavailable:
		// Who asks again may ask another replica. A kept connection leads to this one however often it is used, and a
		// balancer that only passes connections on cannot move it.
		h.Set("Connection", "close")
	}
	return h
}

// ContentType is the media type of problem documents, whatever was negotiated.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Seconds writes a duration as headers want it: whole seconds, rounded up, at least 1.
func Seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}

// Write sends the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client has gone if this fails, and nobody is left to tell
}

// ProblemOf translates an error by its kind. An error of no kind is our own fault: its text stays in the log.
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if bad, ok := errors.AsType[*greenroom.InvalidError](err); ok {
		fields := make([]FieldProblem, len(bad.Fields))
		for i, f := range bad.Fields {
			fields[i] = FieldProblem{Field: f.Field, Message: f.Message}
		}
		return InvalidInput.Fields(fields...)
	}
	if bad, ok := errors.AsType[*greenroom.FieldError](err); ok {
		return InvalidInput.Fields(FieldProblem{Field: bad.Field, Message: bad.Message})
	}
	if errors.Is(err, greenroom.ErrUnavailable) { // the sentence of such an error is for operators: it names places on this machine
		p := Unavailable.Problem("The server cannot save anything at the moment; its log says why. Nothing of this request was kept: try again later.")
		p.RetryAfter = 30 * time.Second
		return p
	}
	for _, k := range []struct {
		is       error
		kind     Kind
		sentence string
		retry    time.Duration
	}{
		{greenroom.ErrNotFound, NotFound, "There is no such meeting or seat. Check the link or the id.", 0},
		{greenroom.ErrForbidden, Forbidden, "This is not allowed with what you presented.", 0},
		{greenroom.ErrEnded, Ended, "The meeting is over.", 0},
		{greenroom.ErrConflict, Conflict, "It was changed by somebody else at the same time. Look at it again and repeat.", 0},
		{greenroom.ErrThrottled, TooManyRequests, "Too many requests. Wait a moment and try again.", time.Second},
		{greenroom.ErrCapacity, Unavailable, "There is no capacity at the moment. Try again in a minute.", time.Minute},
		{context.DeadlineExceeded, Unavailable, "It took too long. Try again in a moment.", time.Second},
	} {
		if errors.Is(err, k.is) {
			p := k.kind.Problem(greenroom.Sentence(err, k.sentence))
			p.RetryAfter = k.retry
			return p
		}
	}
	return Internal.Problem("Internal error; it is in the server's log. The request was not at fault; try again in a moment.")
}

// Fail answers r with the problem that err is, and logs what the client is not told.
func Fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	Note(r, log, err).Write(w)
}

// Note is ProblemOf that logs an error which is our own fault. What failed because the client has gone is ClientGone.
func Note(r *http.Request, log *slog.Logger, err error) *Problem {
	p := ProblemOf(err)
	if p.Status == http.StatusInternalServerError && errors.Is(r.Context().Err(), context.Canceled) {
		return ClientGone.Problem("The client closed the connection before it was answered.")
	}
	if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
		log.ErrorContext(r.Context(), "request failed", logkey.Method, r.Method, logkey.Path, Path(r), logkey.Err, err)
	}
	return p
}
