package link

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

	"greenroom/internal/agent/agentapi"
)

// CallTime bounds one call of the control plane.
const CallTime = 10 * time.Second

// maxUserData bounds what a machine is told at birth; EC2 allows 16 KiB.
const maxUserData = 64 << 10

// ReadUserData reads what the machine was told at birth from a file.
func ReadUserData(path string) (agentapi.UserData, error) {
	f, err := os.Open(path)
	if err != nil {
		return agentapi.UserData{}, fmt.Errorf("read user data: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxUserData+1))
	if err != nil {
		return agentapi.UserData{}, fmt.Errorf("read user data: %w", err)
	}
	return ParseUserData(text)
}

// ParseUserData reads it from its JSON document.
func ParseUserData(text []byte) (agentapi.UserData, error) {
	var data agentapi.UserData
	if len(text) > maxUserData {
		return data, fmt.Errorf("read user data: it is longer than %d bytes", maxUserData)
	}
	if err := json.Unmarshal(text, &data); err != nil {
		return data, fmt.Errorf("read user data: %w", err)
	}
	return data, nil
}

// Source tells the user data as it is now: a control plane on one machine may come back on another port.
type Source func() (agentapi.UserData, error)

// Control is the way to the control plane. Its methods may be called at once.
type Control struct {
	HTTP   *http.Client // trusts what the user data says to trust
	source Source

	mu       sync.Mutex
	base     string // where the control plane answered when it said enrolled
	enrolled agentapi.Enrolled
}

// ErrNotEnrolled is the answer to whoever asks too early.
var ErrNotEnrolled = errors.New("not enrolled yet")

// NewControl returns the way to the control plane that the user data of source names.
func NewControl(source Source) (*Control, error) {
	data, err := source()
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if data.ControlCA != "" {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM([]byte(data.ControlCA)) {
			return nil, errors.New("read user data: control_ca holds no certificate")
		}
	}
	return &Control{source: source, HTTP: &http.Client{
		Timeout:       CallTime,
		Transport:     &http.Transport{TLSClientConfig: conf, MaxIdleConns: 4, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Facts is what the enrolment said, with its addresses where the control plane answers now.
func (c *Control) Facts() (agentapi.Enrolled, error) {
	data, err := c.source()
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enrolled.AgentToken == "" {
		return agentapi.Enrolled{}, ErrNotEnrolled
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
func (c *Control) enrol(ctx context.Context, in agentapi.Enrolment) (agentapi.Enrolled, error) {
	data, err := c.source()
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	var out agentapi.Enrolled
	if err := c.send(ctx, http.MethodPost, data.ControlURL+agentapi.EnrolPath, data.Secret, in, &out); err != nil {
		return agentapi.Enrolled{}, fmt.Errorf("enrol: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.enrolled = data.ControlURL, out
	return out, nil
}

// ask makes a call as the agent that enrolled.
func (c *Control) ask(ctx context.Context, method, path string, in, out any) error {
	e, err := c.Facts()
	if err != nil {
		return err
	}
	data, err := c.source()
	if err != nil {
		return err
	}
	return c.send(ctx, method, data.ControlURL+path, e.AgentToken, in, out)
}

func (c *Control) certificate(ctx context.Context, request string) (string, error) {
	var out agentapi.Certificate
	if err := c.ask(ctx, http.MethodPost, agentapi.CertificatePath, agentapi.CertificateRequest{CertificateRequest: request}, &out); err != nil {
		return "", fmt.Errorf("ask for a certificate: %w", err)
	}
	return out.Certificate, nil
}

func (c *Control) report(ctx context.Context, r agentapi.Report) (agentapi.Orders, error) {
	var out agentapi.Orders
	if err := c.ask(ctx, http.MethodPost, agentapi.ReportPath, r, &out); err != nil {
		return agentapi.Orders{}, fmt.Errorf("report: %w", err)
	}
	return out, nil
}

// SessionData tells where the data of this seat's session lies.
func (c *Control) SessionData(ctx context.Context, where string) error {
	if err := c.ask(ctx, http.MethodPut, agentapi.SessionDataPath, agentapi.SessionData{URL: where}, nil); err != nil {
		return fmt.Errorf("report session data: %w", err)
	}
	return nil
}

// send sends in and reads out, unless that is nil. Its errors hold no secret: not the bearer, and not the address.
func (c *Control) send(ctx context.Context, method, address, bearer string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.HTTP.Do(req)
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
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
