package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"greenroom"
	"greenroom/internal/config"
	"greenroom/internal/httpapi"
	"greenroom/internal/httpx"
	pages "greenroom/internal/web"
)

// web is what answers requests.
type web struct{ handler http.Handler }

var errNoAddress = &greenroom.UserError{
	Message: "public_url is not set: desktops would not know where to report. deploy/aws sets it for every function but http.", Cause: greenroom.ErrPermanent,
}

// public is where people reach the pages; empty until the first request has told.
func (f *Functions) public() string { return orElse(f.Config.PublicURL, "") }

// answer turns an event of a function URL or an HTTP API, payload format 2.0, into a request and answers it.
func (f *Functions) answer(ctx context.Context, event []byte) (any, error) {
	var in events.LambdaFunctionURLRequest
	if err := json.Unmarshal(event, &in); err != nil || in.Version != "2.0" || in.RequestContext.HTTP.Method == "" {
		return nil, f.told("http", &greenroom.UserError{
			Message: "This event is no request in payload format 2.0: see what calls the function.", Cause: errors.Join(greenroom.ErrPermanent, err),
		})
	}
	r, ok := request(ctx, in)
	if !ok {
		return problem(httpx.Malformed, "The request cannot be read."), nil
	}
	if f.Config.Serverless.CloudFront {
		if viewer, ok := httpx.ViewerAddress(r.Header); ok {
			r.RemoteAddr = netip.AddrPortFrom(viewer, 0).String()
		}
	}
	w, err := f.serving(ctx, in.RequestContext.DomainName)
	if err != nil {
		_ = f.told("http", err)
		return Broken(), nil
	}
	out := &answer{header: http.Header{}}
	w.handler.ServeHTTP(out, r)
	return out.reply(), nil
}

// serving is the pages and the API under the first name by which they were reached, unless the configuration names one.
func (f *Functions) serving(ctx context.Context, domain string) (*web, error) {
	f.naming.Do(func() {
		f.domain = "https://" + domain
		f.Config.PublicURL = orElse(f.Config.PublicURL, f.domain)
	})
	return f.http.get(ctx)
}

// openWeb puts the pages and the API together.
func (f *Functions) openWeb(ctx context.Context) (*web, error) {
	c, err := f.core.get(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := f.secrets.Open(ctx, "serverless.api_tokens", f.Config.Serverless.APITokens.Reveal())
	if err != nil {
		return nil, err
	}
	organiser := httpx.NewOrganiser(func(ctx context.Context) ([]string, error) {
		text, err := tokens.Get(ctx)
		if err != nil {
			return nil, err
		}
		return config.ParseTokens("serverless.api_tokens", text)
	})
	joins := httpx.NewJoins()
	joins.Immediate()
	organiser.Immediate()
	mux := http.NewServeMux()
	httpapi.Register(mux, httpapi.Options{Joins: joins, Service: c.service, Logger: f.Logger, Version: f.Version, Ready: f.store.Ping, LocalCA: c.authority.local})
	p, err := pages.New(pages.Options{Service: c.service, Logger: f.Logger, PublicURL: f.public(), GoodToken: organiser.Good, Joins: joins, Wrong: organiser.Wrong})
	if err != nil {
		return nil, fmt.Errorf("open pages: %w", err)
	}
	p.Register(mux)
	hosts := httpx.NewHosts(nowhere{}, f.public(), f.Config.ControlURL, f.domain)
	return &web{httpx.Guard(mux, httpx.Options{Logger: f.Logger, Hosts: hosts, Organiser: organiser})}, nil
}

// nowhere is the address that a function listens on.
type nowhere struct{}

func (nowhere) Network() string { return "lambda" }
func (nowhere) String() string  { return "" }

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

// Broken is the answer to a request when greenroom cannot be put together.
func Broken() any {
	return problem(httpx.Unavailable, "greenroom cannot answer at the moment. Try again in a minute; its operator finds the reason in the function's log.")
}

// problem is an answer that needs no handler.
func problem(kind httpx.Kind, sentence string) events.LambdaFunctionURLResponse {
	a := &answer{header: http.Header{}}
	kind.Problem(sentence).Write(a)
	return a.reply()
}
