package httpfunction

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"greenroom/internal/httpx"
)

// request is the event as a request, if it can be one. AWS joins headers of one name by commas, and lays cookies beside them.
func request(ctx context.Context, in events.LambdaFunctionURLRequest) (*http.Request, bool) {
	body := []byte(in.Body)
	if in.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(in.Body); err != nil {
			return nil, false
		}
	}
	target := &url.URL{Path: in.RawPath, RawQuery: in.RawQueryString}
	if path, err := url.PathUnescape(in.RawPath); err == nil {
		target.Path, target.RawPath = path, in.RawPath
	}
	r, err := http.NewRequestWithContext(ctx, in.RequestContext.HTTP.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	for name, value := range in.Headers {
		r.Header.Set(name, value)
	}
	if len(in.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(in.Cookies, "; "))
	}
	r.Host = r.Header.Get("Host")
	if r.Host == "" {
		r.Host = in.RequestContext.DomainName
	}
	r.Header.Del("Host")
	r.RequestURI = target.RequestURI()
	r.RemoteAddr = net.JoinHostPort(in.RequestContext.HTTP.SourceIP, "0")
	return r, true
}

// answer gathers what a handler writes.
type answer struct {
	header http.Header
	status int
	sent   http.Header // as it was when the status was written
	body   bytes.Buffer
}

// maxAnswer is what Lambda takes, less what base64 adds.
const maxAnswer = 4 << 20

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(b) > maxAnswer {
		return 0, io.ErrShortWrite
	}
	return a.body.Write(b)
}

// Flush implements http.Flusher: all goes at once.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

func (a *answer) reply() events.LambdaFunctionURLResponse {
	a.WriteHeader(http.StatusOK)
	out := events.LambdaFunctionURLResponse{StatusCode: a.status, Headers: map[string]string{}, Cookies: a.sent["Set-Cookie"]}
	if a.sent.Get("Content-Type") == "" && a.body.Len() > 0 {
		a.sent.Set("Content-Type", http.DetectContentType(a.body.Bytes()))
	}
	a.sent.Del("Set-Cookie")
	for name, values := range a.sent {
		out.Headers[name] = strings.Join(values, ", ")
	}
	if out.IsBase64Encoded = !utf8.Valid(a.body.Bytes()) || a.sent.Get("Content-Encoding") != ""; out.IsBase64Encoded {
		out.Body = base64.StdEncoding.EncodeToString(a.body.Bytes())
	} else {
		out.Body = a.body.String()
	}
	return out
}

const broken = "greenroom cannot answer at the moment. Try again in a minute; its operator finds the reason in the function's log."

// Broken answers each request when greenroom cannot be put together.
func Broken(context.Context, []byte) (any, error) { return problem(httpx.Unavailable, broken), nil }

// problem is an answer that needs no handler.
func problem(kind httpx.Kind, sentence string) events.LambdaFunctionURLResponse {
	a := &answer{header: http.Header{}}
	kind.Problem(sentence).Write(a)
	return a.reply()
}
