package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"greenroom/internal/httpx"
)

// Bounds of a request's document.
const (
	bodyTime = 5 * time.Second // for the whole body to arrive
	maxDepth = 16              // objects and arrays in each other
)

// documents reads the document of every request that has one, and refuses what is no JSON document, before next sees it. What
// encoding/json would let pass is refused here: duplicate keys, bytes that are no UTF-8, deep nesting.
func (a *api) documents(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := checkQuery(r.URL.RawQuery); p != nil {
			p.Write(w)
			return
		}
		if r.Body == nil || r.Body == http.NoBody || r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		body, err := readDocument(w, r)
		if err != nil {
			a.problem(r, err).Write(w)
			return
		}
		if len(body) > 0 {
			r.Header.Set("Content-Type", "application/json")
			r.Header.Del("Content-Encoding")
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	})
}

// checkQuery refuses a query in which a parameter has no value or two, since one of them would be ignored.
func checkQuery(query string) *httpx.Problem {
	if query == "" {
		return nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return httpx.Malformed.Problem("The query of the address is malformed: escape what is no letter or digit with %.")
	}
	var fields []httpx.FieldProblem
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch given := values[name]; {
		case len(given) > 1:
			fields = append(fields, httpx.FieldProblem{Field: name, Message: "is a duplicate parameter: give it once"})
		case given[0] == "":
			fields = append(fields, httpx.FieldProblem{Field: name, Message: "has no value: leave it out, or give one"})
		}
	}
	if fields == nil {
		return nil
	}
	return httpx.InvalidInput.Fields(fields...)
}

// readDocument returns the body, which is empty or one JSON document.
func readDocument(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // a writer without deadlines, as in a function, has read the body already
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	_ = control.SetReadDeadline(time.Time{})
	if len(body) > maxBody {
		return nil, httpx.TooLarge.Problem("The body is too large: 64 KiB at most.")
	}
	if err != nil {
		return nil, unread(r, err)
	}
	if len(body) == 0 {
		return nil, nil
	}
	if p := mediaType(r.Header); p != nil {
		return nil, p
	}
	if p := checkJSON(body); p != nil {
		return nil, p
	}
	return body, nil
}

// unread says why a body could not be read.
func unread(r *http.Request, err error) error {
	switch _, large := errors.AsType[*http.MaxBytesError](err); {
	case large:
		return httpx.TooLarge.Problem("The body is too large: 64 KiB at most.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return httpx.Malformed.Problem("The body did not arrive in time.")
	case r.Context().Err() != nil:
		return r.Context().Err()
	}
	return httpx.Malformed.Problem("The body did not arrive whole, or its chunks are broken.")
}

// mediaType refuses everything but JSON in UTF-8 that is not compressed.
func mediaType(h http.Header) *httpx.Problem {
	for _, coding := range h.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return httpx.WrongMediaType.Problem("Send the document as it is, without Content-Encoding.")
		}
	}
	given := h.Get("Content-Type")
	if given == "" {
		return nil
	}
	kind, parameters, err := mime.ParseMediaType(given) // in lower case
	if err != nil || kind != "application/json" && (!strings.HasPrefix(kind, "application/") || !strings.HasSuffix(kind, "+json")) {
		return httpx.WrongMediaType.Problem("Send JSON, with the header Content-Type: application/json.")
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return httpx.WrongMediaType.Problem("Send JSON in UTF-8, which is the only encoding that JSON has.")
	}
	return nil
}

// checkJSON refuses what is not exactly one JSON document: anything after it, a key twice in one object, bytes that are no
// UTF-8, or nesting that no call has.
func checkJSON(body []byte) *httpx.Problem {
	if !utf8.Valid(body) {
		return httpx.Malformed.Problem("The body is not valid JSON: it is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var open []object // what is around the current token, outermost first
	for {
		token, err := d.Token()
		switch {
		case err == io.EOF && len(open) == 0: //nolint:errorlint // Token returns it bare
			return nil
		case err != nil:
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("unexpected end of JSON input")
			}
			return httpx.Malformed.Problem("The body is not valid JSON: " + strings.TrimPrefix(err.Error(), "json: ") + ".")
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			open = open[:len(open)-1]
		} else if key, twice := note(open, token); twice {
			return httpx.Malformed.Fields(httpx.FieldProblem{Field: key, Message: "is a duplicate key: give it once"})
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			if len(open) == maxDepth {
				return httpx.Malformed.Problem("The body is nested too deeply.")
			}
			open = append(open, object{keys: map[string]bool{}, list: token == json.Delim('[')})
		}
		if len(open) == 0 && !onlySpace(body[d.InputOffset():]) {
			return httpx.Malformed.Problem("The body is not valid JSON: there is more after the document.")
		}
	}
}

// object is an object or a list while it is read.
type object struct {
	keys  map[string]bool
	list  bool
	value bool // the next token is the value of a key
}

// note follows a token into the innermost object, and reports a key that was there before.
func note(open []object, token json.Token) (string, bool) {
	if len(open) == 0 {
		return "", false
	}
	o := &open[len(open)-1]
	if o.list || o.value {
		o.value = false
		return "", false
	}
	key, _ := token.(string)
	twice := o.keys[key]
	o.keys[key], o.value = true, true
	return key, twice
}

func onlySpace(b []byte) bool { return len(bytes.TrimLeft(b, " \t\r\n")) == 0 }
