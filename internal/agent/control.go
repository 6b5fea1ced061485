package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"greenroom/internal/agentapi"
	"greenroom/internal/dcv"
)

// callTime bounds one call of the control plane.
const callTime = 10 * time.Second

// readUserData reads what the machine was told at birth, from the working directory.
func readUserData() (agentapi.UserData, error) {
	text, err := os.ReadFile("user-data.json")
	if err != nil {
		return agentapi.UserData{}, fmt.Errorf("read user data: %w", err)
	}
	var data agentapi.UserData
	if err := json.Unmarshal(text, &data); err != nil {
		return agentapi.UserData{}, fmt.Errorf("read user data: %w", err)
	}
	return data, nil
}

// control is the way to the control plane.
type control struct {
	http *http.Client

	mu       sync.Mutex
	base     string // where the control plane answered when it said enrolled
	enrolled agentapi.Enrolled
}

var errNotEnrolled = errors.New("not enrolled yet")

func newControl(data agentapi.UserData) (*control, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if data.ControlCA != "" {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM([]byte(data.ControlCA)) {
			return nil, errors.New("read user data: control_ca holds no certificate")
		}
	}
	return &control{http: &http.Client{
		Timeout:       callTime,
		Transport:     &http.Transport{TLSClientConfig: conf, MaxIdleConns: 4, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// facts is what the enrolment said, with its addresses where the control plane answers now.
func (c *control) facts() (agentapi.Enrolled, error) {
	data, err := readUserData()
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enrolled.AgentToken == "" {
		return agentapi.Enrolled{}, errNotEnrolled
	}
	e := c.enrolled
	e.VerifyURL, e.ReturnURL = moved(e.VerifyURL, c.base, data.ControlURL), moved(e.ReturnURL, c.base, data.ControlURL)
	return e, nil
}

// moved is address below to, if it was below from: a control plane on one machine may come back on another port.
func moved(address, from, to string) string {
	if rest, ok := strings.CutPrefix(address, strings.TrimSuffix(from, "/")); ok && strings.HasPrefix(rest, "/") {
		return strings.TrimSuffix(to, "/") + rest
	}
	return address
}

// enrol spends the one-time secret. The user data is read again, because it may say a new address.
func (c *control) enrol(ctx context.Context, in agentapi.Enrolment) (agentapi.Enrolled, error) {
	data, err := readUserData()
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	var out agentapi.Enrolled
	if err := c.call(ctx, data.ControlURL+agentapi.EnrolPath, data.Secret, in, &out); err != nil {
		return agentapi.Enrolled{}, fmt.Errorf("enrol: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.enrolled = data.ControlURL, out
	return out, nil
}

// ask makes a call as the agent that enrolled.
func (c *control) ask(ctx context.Context, path string, in, out any) error {
	e, err := c.facts()
	if err != nil {
		return err
	}
	data, err := readUserData()
	if err != nil {
		return err
	}
	return c.call(ctx, data.ControlURL+path, e.AgentToken, in, out)
}

func (c *control) certificate(ctx context.Context, request string) (string, error) {
	var out agentapi.Certificate
	if err := c.ask(ctx, agentapi.CertificatePath, agentapi.CertificateRequest{CertificateRequest: request}, &out); err != nil {
		return "", fmt.Errorf("ask for a certificate: %w", err)
	}
	return out.Certificate, nil
}

func (c *control) report(ctx context.Context, r agentapi.Report) (agentapi.Orders, error) {
	var out agentapi.Orders
	if err := c.ask(ctx, agentapi.ReportPath, r, &out); err != nil {
		return agentapi.Orders{}, fmt.Errorf("report: %w", err)
	}
	return out, nil
}

// verify asks whether token is good for a participant at client, as a DCV server would.
func (c *control) verify(ctx context.Context, token, client string) (ok bool, message string, err error) {
	e, err := c.facts()
	if err != nil {
		return false, "", err
	}
	_, ok, message, err = dcv.Verify(ctx, c.http, e.VerifyURL, agentapi.SessionID, token, client)
	return ok, message, err
}

// call posts in and reads out. Its errors hold no secret: not the bearer, and not the address.
func (c *control) call(ctx context.Context, address, bearer string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, agentapi.MaxBody))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the control plane answered %s", resp.Status)
	}
	return json.Unmarshal(text, out)
}

// backoff is a pause that doubles from first to most.
type backoff struct{ next, most time.Duration }

// wait pauses, and reports whether ctx lives on.
func (b *backoff) wait(ctx context.Context) bool {
	pause := b.next
	b.next = min(2*b.next, b.most)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}
