// Package httpfunction is the function that answers people, programs and desktops: the pages and the API. It is a program of its
// own, since pages keep the linker from leaving out what the other functions do not use.
package httpfunction

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/aws/aws-lambda-go/events"

	"greenroom"
	"greenroom/internal/app/lambda"
	"greenroom/internal/config"
	"greenroom/internal/httpapi"
	"greenroom/internal/httpx"
	"greenroom/internal/web"
)

// function answers requests.
type function struct {
	*lambda.Parts
	handler lambda.Lazy[http.Handler]
	naming  sync.Once
	domain  string // by which it was reached first
}

// Open returns what answers the events of a function URL. It asks nothing of AWS.
func Open(ctx context.Context, trigger lambda.Trigger, o lambda.Options) (lambda.Answer, error) {
	if trigger != lambda.HTTP {
		return nil, lambda.WrongHandler(trigger, "greenroom-lambda-http answers http, and greenroom-lambda answers wake, instance, change and sweep")
	}
	p, err := lambda.NewParts(ctx, o)
	if err != nil {
		return nil, err
	}
	f := &function{Parts: p}
	f.handler.Open = f.open
	return f.answer, nil
}

// answer turns an event of a function URL or an HTTP API, payload format 2.0, into a request and answers it.
func (f *function) answer(ctx context.Context, event []byte) (any, error) {
	var in events.LambdaFunctionURLRequest
	if err := json.Unmarshal(event, &in); err != nil || in.Version != "2.0" || in.RequestContext.HTTP.Method == "" {
		return nil, f.Failed("http", &greenroom.UserError{
			Message: "This event is not a request in payload format 2.0: see what calls the function.", Cause: errors.Join(greenroom.ErrPermanent, err),
		})
	}
	r, ok := request(ctx, in)
	if !ok {
		return problem(httpx.Malformed, "The request cannot be read."), nil
	}
	if f.Config.Serverless.CloudFront {
		httpx.FromViewer(r)
	}
	handler, err := f.serving(ctx, in.RequestContext.DomainName)
	if err != nil {
		_ = f.Failed("http", err)
		return problem(httpx.Unavailable, broken), nil
	}
	out := &answer{header: http.Header{}}
	handler.ServeHTTP(out, r)
	return out.reply(), nil
}

// serving is the pages and the API under the first name by which they were reached, unless the configuration names one.
func (f *function) serving(ctx context.Context, domain string) (http.Handler, error) {
	f.naming.Do(func() {
		f.domain = "https://" + domain
		f.Config.PublicURL = cmp.Or(f.Public(), f.domain)
	})
	return f.handler.Get(ctx)
}

// open puts the pages and the API together.
func (f *function) open(ctx context.Context) (http.Handler, error) {
	c, err := f.Core(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := f.Secrets.Open(ctx, "serverless.api_tokens", f.Config.Serverless.APITokens.Reveal())
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
	httpapi.Register(mux, httpapi.Options{Joins: joins, Service: c.Service, Logger: f.Logger, Version: f.Version, Ready: f.Store.Ping, LocalCA: c.Certificates.LocalCA()})
	p, err := web.New(web.Options{Service: c.Service, Logger: f.Logger, PublicURL: f.Public(), GoodToken: organiser.Good, Joins: joins, Wrong: organiser.Wrong})
	if err != nil {
		return nil, fmt.Errorf("open pages: %w", err)
	}
	p.Register(mux)
	hosts := httpx.NewHosts(nowhere{}, f.Public(), f.Config.ControlURL, f.domain)
	return httpx.Guard(mux, httpx.Options{Logger: f.Logger, Hosts: hosts, Organiser: organiser}), nil
}

// nowhere is the address that a function listens on.
type nowhere struct{}

func (nowhere) Network() string { return "lambda" }
func (nowhere) String() string  { return "" }
