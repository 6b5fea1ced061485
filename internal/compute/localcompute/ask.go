package localcompute

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"greenroom/internal/compute"
)

var (
	// errGap says that no host took the call, or that it went away meanwhile. Every call may be made again.
	errGap    = errors.New("no process hosts the local desktops at the moment")
	errSilent = fmt.Errorf("the process that hosts the local desktops did not answer within %s", callTime)
)

// newClient asks whoever listens at the place.
func newClient(at place) *http.Client {
	var dialer net.Dialer
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", at.socket())
		},
		MaxConnsPerHost: 32, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, DisableCompression: true,
	}}
}

// do makes a call at the host: directly if that is this process, else over the socket. Where there is no host it
// waits for one.
func (p *Provider) do(ctx context.Context, direct func(context.Context, *host) error, remote func(context.Context) error) error {
	ctx, leave, err := p.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	patient, cancel := context.WithTimeoutCause(ctx, callTime, errSilent)
	defer cancel()
	gap := time.Now().Add(gapTime)
	for {
		if h := p.own(); h != nil {
			return direct(ctx, h)
		}
		if err := ended(patient); err != nil {
			return err
		}
		if err := remote(patient); !errors.Is(err, errGap) || past(gap) {
			return err
		}
		select {
		case <-patient.Done():
		case <-time.After(askAgain):
		}
	}
}

// ask posts in and reads out, which may be nil. The end of ctx goes with it.
func (p *Provider) ask(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if len(body) > maxBody {
		return fmt.Errorf("ask the host: %d bytes are more than %d", len(body), maxBody)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://host"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		req.Header.Set(deadlineHeader, deadline.Format(time.RFC3339Nano))
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return gone(ctx, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return gone(ctx, err)
	case len(text) > maxBody:
		return fmt.Errorf("the host's answer has more than %d bytes", maxBody)
	case resp.StatusCode == http.StatusServiceUnavailable:
		return errGap
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the host answered %s: %.200s", resp.Status, text)
	}
	a := answer{Value: out}
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("read the host's answer: %w", err)
	}
	return a.Failure.err()
}

// gone is why a call got no answer: its time is over, or the host is no more.
func gone(ctx context.Context, err error) error {
	if over := ended(ctx); over != nil {
		return over
	}
	return fmt.Errorf("%w: %w", errGap, err)
}

func (p *Provider) askLaunch(ctx context.Context, requests []compute.Request) ([]compute.Outcome, error) {
	var found []outcome
	if err := p.ask(ctx, launchPath, requests, &found); err != nil {
		return nil, err
	}
	if len(found) != len(requests) {
		return nil, fmt.Errorf("the host answered %d requests of %d", len(found), len(requests))
	}
	outcomes := make([]compute.Outcome, len(found))
	for i, o := range found {
		outcomes[i] = compute.Outcome{Instance: o.Instance, Err: o.Failure.err()}
	}
	return outcomes, nil
}
