package httpapi

import (
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

// problem translates an error of package meetings and logs our own faults.
func (a *api) problem(r *http.Request, err error) *httpx.Problem {
	if stale, ok := errors.AsType[*meetings.StaleError](err); ok {
		return httpx.Stale.Fields(httpx.FieldProblem{Field: "If-Match", Message: stale.Error()})
	}
	if in, ok := errors.AsType[*meetings.OccupiedError](err); ok {
		p := httpx.Occupied.Fields(httpx.FieldProblem{Field: "force", Message: "give true to make the change all the same"})
		p.Detail = in.Error()
		return p
	}
	return httpx.Note(r, a.log, err)
}

// ownProblems gives the faults that huma finds (types, unknown fields, missing ones) the form and the words
// of all others.
func ownProblems(_ huma.Context, _ string, v any) (any, error) {
	if e, ok := v.(*huma.ErrorModel); ok {
		return fromHuma(e), nil
	}
	return v, nil
}

func fromHuma(e *huma.ErrorModel) *httpx.Problem {
	switch e.Status {
	case http.StatusBadRequest:
		if len(e.Errors) > 0 {
			return httpx.Malformed.Problem("The body is not valid JSON: " + strings.TrimPrefix(e.Errors[0].Message, "json: ") + ".")
		}
		return httpx.Malformed.Problem("The body is missing: send a JSON document.")
	case http.StatusRequestEntityTooLarge:
		return httpx.TooLarge.Problem("The body is too large: 256 KiB at most.")
	case http.StatusUnsupportedMediaType:
		return httpx.WrongMediaType.Problem("Send JSON, with the header Content-Type: application/json.")
	case http.StatusRequestTimeout:
		return httpx.Malformed.Problem("The body did not arrive in time.")
	case http.StatusUnprocessableEntity:
		fields := make([]httpx.FieldProblem, 0, len(e.Errors))
		for _, d := range e.Errors {
			fields = append(fields, fault(d))
		}
		return httpx.InvalidInput.Fields(fields...)
	}
	return httpx.Internal.Problem("Internal error. Try again in a moment.")
}

// fault names the field as it is in the request and says what would be right.
func fault(d *huma.ErrorDetail) httpx.FieldProblem {
	where, field, _ := strings.Cut(d.Location, ".")
	if field == "" {
		field = where
	}
	message := d.Message
	switch {
	case message == "unexpected property":
		message = "is not a known field (/docs lists them)"
	case message == "unknown query parameter":
		message = "is not a known parameter (/docs lists them)"
	case strings.HasPrefix(message, "expected required property"):
		name := strings.Fields(message)[3]
		message = "must be given"
		if field == "body" {
			field = name
		} else {
			field += "." + name
		}
	case strings.HasPrefix(message, "required"):
		message = "must be given"
	case strings.HasPrefix(message, "expected string to be RFC 3339"), strings.HasPrefix(message, "invalid date/time"):
		message = "must be a time as RFC 3339, such as 2026-12-01T15:00:00Z"
	case strings.HasPrefix(message, "expected value to be "):
		message = "must be " + strings.ReplaceAll(strings.TrimPrefix(message, "expected value to be "), `"`, "")
	case strings.HasPrefix(message, "expected number >= "):
		message = "must be at least " + strings.TrimPrefix(message, "expected number >= ")
	case strings.HasPrefix(message, "expected number <= "):
		message = "must be at most " + strings.TrimPrefix(message, "expected number <= ")
	case strings.HasPrefix(message, "expected length <= "):
		message = "must have at most " + strings.TrimPrefix(message, "expected length <= ") + " characters"
	case strings.HasPrefix(message, "expected "):
		message = "must be " + article(strings.TrimPrefix(message, "expected "))
	case message == "invalid integer":
		message = "must be a whole number"
	}
	return httpx.FieldProblem{Field: field, Message: message}
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

// problemRef is huma's name of its problem documents, which describes ours.
const problemRef = "#/components/schemas/ErrorModel"

// publishProblem makes the OpenAPI document describe our problem documents instead of huma's.
func publishProblem(h huma.API) {
	schemas := h.OpenAPI().Components.Schemas
	schemas.Schema(reflect.TypeFor[httpx.Problem](), true, "Problem")
	all := schemas.Map()
	all["ErrorModel"] = all["Problem"]
	all["ErrorModel"].Title = "Problem"
	delete(all, "Problem")
	delete(all, "ErrorDetail")
}
