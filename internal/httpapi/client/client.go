// Package client calls the API: the command line and tests use it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
)

// maxAnswer bounds what is read of an answer: a full page of meetings with 200 seats each fits.
const maxAnswer = 64 << 20

// callTimeout bounds a call that is not a stream.
const callTimeout = 30 * time.Second

// Client calls one server. Its methods return *httpx.Problem for what the server refused, and
// *UnreachableError when there was no answer.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// UnreachableError says that no server answered.
type UnreachableError struct {
	URL   string
	Cause error
}

func (e *UnreachableError) Error() string {
	return "no answer from " + e.URL + " (" + e.Cause.Error() + ")"
}

// Unwrap is the cause.
func (e *UnreachableError) Unwrap() error { return e.Cause }

// New returns a client of the server at address (http://127.0.0.1:8080). Token is an organiser's, "" for none.
func New(address, token string) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the server's address must be like http://127.0.0.1:8080, and is %q", address)
	}
	// Redirects would carry the token elsewhere, and the API has none.
	return &Client{base: u, token: token, http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// URL is the server's address.
func (c *Client) URL() string { return c.base.String() }

// Schedule makes a meeting; with an idempotency key it can be repeated.
func (c *Client) Schedule(ctx context.Context, in wire.Schedule, idempotencyKey string) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPost, "/api/v1/meetings", in, header("Idempotency-Key", idempotencyKey))
}

// Filter selects meetings. Zero fields select everything.
type Filter struct {
	State    greenroom.State
	From, To time.Time
	Limit    int
	Cursor   string
}

// List returns a page of meetings.
func (c *Client) List(ctx context.Context, f Filter) (wire.Meetings, error) {
	q := url.Values{}
	set := func(name, value string, given bool) {
		if given {
			q.Set(name, value)
		}
	}
	set("state", string(f.State), f.State != "")
	set("from", f.From.Format(time.RFC3339Nano), !f.From.IsZero())
	set("to", f.To.Format(time.RFC3339Nano), !f.To.IsZero())
	set("limit", strconv.Itoa(f.Limit), f.Limit != 0)
	set("cursor", f.Cursor, f.Cursor != "")
	path := "/api/v1/meetings"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return call[wire.Meetings](ctx, c, http.MethodGet, path, nil, nil)
}

// Meeting returns one meeting.
func (c *Client) Meeting(ctx context.Context, id string) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodGet, meeting(id, ""), nil, nil)
}

// Edit changes a meeting, of that version only if it is not 0.
func (c *Client) Edit(ctx context.Context, id string, in wire.Edit, version int64) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPatch, meeting(id, ""), in, match(version))
}

// Cancel calls a meeting off.
func (c *Client) Cancel(ctx context.Context, id string) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPost, meeting(id, "/cancel"), nil, nil)
}

// End ends a meeting now.
func (c *Client) End(ctx context.Context, id string) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPost, meeting(id, "/end"), nil, nil)
}

// Park holds a meeting.
func (c *Client) Park(ctx context.Context, id string, in wire.Park) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPost, meeting(id, "/park"), in, nil)
}

// Resume lets go of a parked meeting.
func (c *Client) Resume(ctx context.Context, id string) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPost, meeting(id, "/resume"), nil, nil)
}

// Stuck lists the stuck meetings.
func (c *Client) Stuck(ctx context.Context) (wire.StuckMeetings, error) {
	return call[wire.StuckMeetings](ctx, c, http.MethodGet, "/api/v1/stuck", nil, nil)
}

// ReissueKey gives a seat a new link.
func (c *Client) ReissueKey(ctx context.Context, id, seat string, in wire.NewLink) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPost, seatOf(id, seat, "/key"), in, nil)
}

// Disconnect closes one connection to a seat's desktop.
func (c *Client) Disconnect(ctx context.Context, id, seat, connection string) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodDelete, seatOf(id, seat, "/connections/"+url.PathEscape(connection)), nil, nil)
}

// AddSeats adds seats to a meeting, of that version only if it is not 0.
func (c *Client) AddSeats(ctx context.Context, id string, in []wire.SeatInput, version int64) (wire.AddedSeats, error) {
	return call[wire.AddedSeats](ctx, c, http.MethodPost, meeting(id, "/seats"), wire.NewSeats{Seats: in}, match(version))
}

// EditSeat changes a seat's participant, of that version only if it is not 0.
func (c *Client) EditSeat(ctx context.Context, id, seat string, in wire.SeatEdit, version int64) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPatch, seatOf(id, seat, ""), in, match(version))
}

// RemoveSeat takes a seat off a meeting; whoever is connected is cut off with force only.
func (c *Client) RemoveSeat(ctx context.Context, id, seat string, force bool) (wire.Meeting, error) {
	rest := ""
	if force {
		rest = "?force=true"
	}
	return call[wire.Meeting](ctx, c, http.MethodDelete, seatOf(id, seat, rest), nil, nil)
}

// ReplaceDesktop gives a seat a new desktop.
func (c *Client) ReplaceDesktop(ctx context.Context, id, seat string, in wire.Replace) (wire.Meeting, error) {
	return call[wire.Meeting](ctx, c, http.MethodPost, seatOf(id, seat, "/replace"), in, nil)
}

// Plan tells what would happen next, and why.
func (c *Client) Plan(ctx context.Context, id string) (wire.Plan, error) {
	return call[wire.Plan](ctx, c, http.MethodGet, meeting(id, "/plan"), nil, nil)
}

// Events returns a part of the timeline.
func (c *Client) Events(ctx context.Context, id string, after int64) (wire.Events, error) {
	return call[wire.Events](ctx, c, http.MethodGet, meeting(id, "/events?after="+strconv.FormatInt(after, 10)), nil, nil)
}

// SessionData reports where a seat's data lies.
func (c *Client) SessionData(ctx context.Context, id, seat, where string) error {
	_, err := call[struct{}](ctx, c, http.MethodPut, seatOf(id, seat, "/session-data"), wire.SessionData{URL: where}, nil)
	return err
}

// Server tells the server's version and its clock.
func (c *Client) Server(ctx context.Context) (version string, now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.do(ctx, http.MethodGet, "/openapi.json", nil, nil)
	if err != nil {
		return "", time.Time{}, err
	}
	defer resp.Body.Close()
	var doc struct {
		Info struct {
			Title   string `json:"title"`
			Version string `json:"version"`
		} `json:"info"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&doc); err != nil || doc.Info.Title != "greenroom" {
		return "", time.Time{}, &UnreachableError{URL: c.URL(), Cause: errors.New("what answers there is not greenroom")}
	}
	now, _ = http.ParseTime(resp.Header.Get("Date")) // zero without one
	return doc.Info.Version, now, nil
}

func meeting(id, rest string) string { return "/api/v1/meetings/" + url.PathEscape(id) + rest }

func seatOf(id, seat, rest string) string { return meeting(id, "/seats/"+url.PathEscape(seat)+rest) }

// match is the precondition that the meeting is of that version; 0 is any.
func match(version int64) http.Header {
	if version == 0 {
		return nil
	}
	return header("If-Match", strconv.Quote(strconv.FormatInt(version, 10)))
}

func header(name, value string) http.Header {
	if value == "" {
		return nil
	}
	return http.Header{name: {value}}
}

// call sends in, if it is not nil, and reads the answer.
func call[O any](ctx context.Context, c *Client, method, path string, in any, h http.Header) (O, error) {
	var out O
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.do(ctx, method, path, in, h)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return out, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return out, fmt.Errorf("read the answer of %s: %w", c.URL(), err)
	}
	return out, nil
}

// do sends a request and returns an answer of status 2xx; every other is an error.
func (c *Client) do(ctx context.Context, method, path string, in any, h http.Header) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		doc, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("write request: %w", err)
		}
		body = bytes.NewReader(doc)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL()+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	for name, values := range h {
		req.Header[name] = values
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, ctx.Err()
		}
		return nil, &UnreachableError{URL: c.URL(), Cause: innermost(err)}
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refused(resp)
}

// innermost drops what packages url, net and os put around the reason: the address is told already.
func innermost(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		err = e.Err
	}
	return err
}

// refused reads the problem document; what is not one comes from something else than greenroom.
func (c *Client) refused(resp *http.Response) error {
	var p httpx.Problem
	err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p)
	if err != nil || p.Type == "" || p.Detail == "" {
		return &UnreachableError{URL: c.URL(), Cause: fmt.Errorf("what answers there is not greenroom (status %d)", resp.StatusCode)}
	}
	p.Status = resp.StatusCode
	return &p
}
