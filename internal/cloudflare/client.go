// Package cloudflare makes the few calls of Cloudflare's API v4 that greenroom needs: zones, DNS records, certificates of
// Origin CA, and the check of a token. The API is described at https://developers.cloudflare.com/api/.
package cloudflare

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"greenroom/internal/version"
)

// Options of a Client.
type Options struct {
	BaseURL   string                                    // empty: Cloudflare's own
	HTTP      *http.Client                              // nil: http.DefaultClient; redirects are never followed
	Token     func(ctx context.Context) (string, error) // asked before each request
	Turn      func(ctx context.Context) error           // waits until a request may be sent; nil: at once
	Answered  func(status int, h http.Header)           // sees the header of each answer; may be nil
	MostBytes int64                                     // of an answer; 1 MiB
}

const (
	baseURL     = "https://api.cloudflare.com/client/v4"
	mostBytes   = 1 << 20
	mostTime    = 2 * time.Minute // of one request, where ctx allows more
	attempts    = 2
	pauseUnsaid = 300 * time.Millisecond // before a second attempt, if the answer does not say
	pauseMost   = 2 * time.Second        // what asks for more is the caller's to wait for
)

// Client calls the API. It reads no environment variables.
type Client struct {
	o     Options
	http  http.Client
	agent string
}

// New returns a client. It makes no call.
func New(o Options) *Client {
	o.BaseURL = strings.TrimSuffix(cmp.Or(o.BaseURL, baseURL), "/")
	o.MostBytes = cmp.Or(o.MostBytes, mostBytes)
	c := &Client{o: o, http: *cmp.Or(o.HTTP, http.DefaultClient), agent: "greenroom/" + version.Get().Version}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token goes nowhere else
	return c
}

// request is one call. Its path begins with a slash.
type request struct {
	method, path string
	query        url.Values
	body         any // nil: none
}

// envelope is around every result.
type envelope struct {
	Success bool            `json:"success"`
	Errors  []Fault         `json:"errors"`
	Result  json.RawMessage `json:"result"`
	Info    pages           `json:"result_info"`
}

// pages is what a list says of itself.
type pages struct {
	Total int `json:"total_pages"`
}

// call makes a call and reads its result into result, unless that is nil. A refusal is an *Error. A call that may be repeated
// is made once more when the API is out of order or asks for a short pause.
func (c *Client) call(ctx context.Context, r request, result any) (pages, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return pages{}, fmt.Errorf("write request: %w", err)
		}
	}
	for n := 1; ; n++ {
		e, err := c.send(ctx, r, body)
		if err != nil && n < attempts && pause(ctx, r.method, err) {
			continue
		}
		if err == nil && result != nil {
			if err = json.Unmarshal(e.Result, result); err != nil {
				err = fmt.Errorf("read Cloudflare's answer to %s %s: %w", r.method, r.path, err)
			}
		}
		return e.Info, err
	}
}

// send sends one request.
func (c *Client) send(ctx context.Context, r request, body []byte) (envelope, error) {
	if c.o.Turn != nil {
		if err := c.o.Turn(ctx); err != nil {
			return envelope{}, err
		}
	}
	token, err := c.o.Token(ctx)
	if err != nil {
		return envelope{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, mostTime)
	defer cancel()
	target := c.o.BaseURL + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(body))
	if err != nil {
		return envelope{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return envelope{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	if c.o.Answered != nil {
		c.o.Answered(answer.StatusCode, answer.Header)
	}
	return c.read(r, answer)
}

// read takes an answer apart. What is not JSON, such as the page of a proxy, counts by its status.
func (c *Client) read(r request, answer *http.Response) (envelope, error) {
	good := answer.StatusCode/100 == 2
	limited := io.LimitReader(answer.Body, c.o.MostBytes+1)
	text, err := io.ReadAll(limited)
	switch {
	case err != nil && good:
		return envelope{}, fmt.Errorf("read Cloudflare's answer to %s %s: %w", r.method, r.path, err)
	case int64(len(text)) > c.o.MostBytes && good:
		return envelope{}, fmt.Errorf("Cloudflare's answer to %s %s is longer than %d bytes", r.method, r.path, c.o.MostBytes) //nolint:staticcheck // a name
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil && good {
		return envelope{}, fmt.Errorf("read Cloudflare's answer to %s %s: %w", r.method, r.path, err)
	}
	if good && e.Success {
		return e, nil
	}
	return envelope{}, refusal(answer, e.Errors)
}

// list reads a list page by page and hands each element to each. A list of more than most elements is an error.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, perPage, most int, each func(T)) error {
	for page, n := 1, 0; ; page++ {
		query.Set("page", fmt.Sprint(page))
		query.Set("per_page", fmt.Sprint(perPage))
		var some []T
		info, err := c.call(ctx, request{method: http.MethodGet, path: path, query: query}, &some)
		if err != nil {
			return err
		}
		if n += len(some); n > most {
			return fmt.Errorf("Cloudflare lists more than %d elements at %s", most, path) //nolint:staticcheck // a name
		}
		for _, one := range some {
			each(one)
		}
		switch {
		case len(some) == 0, info.Total > 0 && page >= info.Total, info.Total <= 0 && len(some) < perPage:
			return nil
		}
	}
}

// goodID is what an id in a path may be, so that it names nothing else.
var goodID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// path joins the parts of a path with slashes; every second part is an id.
func path(parts ...string) (string, error) {
	for i, part := range parts {
		if i%2 == 1 && !goodID.MatchString(part) {
			return "", fmt.Errorf("%.40q is not an id of Cloudflare's", part)
		}
	}
	return "/" + strings.Join(parts, "/"), nil
}
