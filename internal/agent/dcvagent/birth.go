package dcvagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/link"
	"greenroom/internal/backoff"
	"greenroom/internal/logkey"
)

// birth is what the machine knows of itself.
type birth struct {
	data      agentapi.UserData
	source    link.Source
	instance  string
	document  string // the signed identity document, on EC2
	signature string
}

// learn finds out what the machine was told at birth, and tries until it has: metadata may come up after us.
func learn(ctx context.Context, cfg Config) (birth, error) {
	last := ""
	for pause := backoff.Every(100*time.Millisecond, 5*time.Second); ; {
		b, err := read(ctx, cfg)
		if err == nil {
			return b, nil
		}
		if last != err.Error() && ctx.Err() == nil {
			last = err.Error()
			cfg.Logger.Warn("user data not read; trying again", logkey.Err, err)
		}
		if !pause.Wait(ctx) {
			return birth{}, err
		}
	}
}

func read(ctx context.Context, cfg Config) (birth, error) {
	var b birth
	var err error
	if cfg.UserData != "" {
		b.source = func() (agentapi.UserData, error) { return link.ReadUserData(cfg.UserData) }
	} else if b, err = fromMetadata(ctx, cfg.Metadata); err != nil {
		return b, err
	}
	if b.data, err = b.source(); err != nil {
		return b, err
	}
	if b.data.InstanceID != "" {
		b.instance = b.data.InstanceID
	}
	switch {
	case b.instance == "":
		return b, errors.New("read user data: it holds no instance id, and there is no metadata to know it from")
	case b.data.ControlURL == "" || b.data.Secret == "" || b.data.KillAt.IsZero():
		return b, errors.New("read user data: control_url, secret and kill_at must be there")
	}
	return b, nil
}

// Bounds of the metadata service.
const (
	metadataTime = 2 * time.Second
	maxMetadata  = 64 << 10
	tokenLife    = "300" // seconds
)

// metadata is EC2's instance metadata service, version 2.
type metadata struct {
	base  string
	token string
	http  *http.Client
}

// fromMetadata reads the user data and the signed identity document.
func fromMetadata(ctx context.Context, base string) (birth, error) {
	m, err := newMetadata(ctx, base)
	if err != nil {
		return birth{}, err
	}
	text, err := m.get(ctx, "/latest/user-data")
	if err != nil {
		return birth{}, err
	}
	data, err := link.ParseUserData(text)
	if err != nil {
		return birth{}, err
	}
	document, err := m.get(ctx, "/latest/dynamic/instance-identity/document")
	if err != nil {
		return birth{}, err
	}
	signature, err := m.get(ctx, "/latest/dynamic/instance-identity/rsa2048")
	if err != nil {
		return birth{}, err
	}
	var says struct {
		InstanceID string `json:"instanceId"`
	}
	if err := json.Unmarshal(document, &says); err != nil {
		return birth{}, fmt.Errorf("read instance identity document: %w", err)
	}
	return birth{source: func() (agentapi.UserData, error) { return data, nil }, instance: says.InstanceID, document: string(document), signature: string(signature)}, nil
}

// newMetadata takes a session token. No proxy is between, no redirect is followed, and the address must be one
// that leads to this machine or its host alone.
func newMetadata(ctx context.Context, base string) (*metadata, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("metadata address: %w", err)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err != nil || !ip.IsLinkLocalUnicast() && !ip.IsLoopback() {
		return nil, fmt.Errorf("metadata address: %s is neither link-local nor loopback", u.Host)
	}
	m := &metadata{base: base, http: &http.Client{
		Timeout:       metadataTime,
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: metadataTime}).DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	token, err := m.ask(ctx, http.MethodPut, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", tokenLife)
	m.token = string(token)
	return m, err
}

func (m *metadata) get(ctx context.Context, path string) ([]byte, error) {
	return m.ask(ctx, http.MethodGet, path, "X-aws-ec2-metadata-token", m.token)
}

func (m *metadata) ask(ctx context.Context, method, path, header, value string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(header, value)
	resp, err := m.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the metadata: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask the metadata: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask the metadata: %s answered %s", path, resp.Status)
	case len(text) > maxMetadata:
		return nil, fmt.Errorf("ask the metadata: %s is longer than %d bytes", path, maxMetadata)
	}
	return text, nil
}
