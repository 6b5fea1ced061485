// Package dcv speaks the two things of Amazon DCV that greenroom shares with it: the external authenticator's
// question and answer, both sides, and the address under which a browser enters. The control plane answers,
// greenroom's own agent asks, exactly as a DCV server would. Standard library only.
package dcv

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// EntryURL is where a browser enters the console session of the desktop at hostname. The token is in the
// query because that is where DCV reads it; the fragment names the session.
func EntryURL(hostname string, port int, token string) string {
	host := hostname
	if port != 443 {
		host = net.JoinHostPort(hostname, strconv.Itoa(port))
	}
	return EntryBelow("https://"+host, token)
}

// EntryBelow is EntryURL for a desktop that is at base, an address without a final slash.
func EntryBelow(base, token string) string {
	return base + "/?authToken=" + url.QueryEscape(token) + "#console"
}

// Bounds of the question and the answer.
const (
	maxRequest = 8 << 10
	maxField   = 2 << 10
	maxAnswer  = 16 << 10
)

// VerifyRequest is a DCV server's question: may this token enter this session from there?
type VerifyRequest struct {
	SessionID     string
	Token         string
	ClientAddress string // of the participant, without a port
}

// ErrMalformed marks a question or an answer that is not the protocol's.
var ErrMalformed = errors.New("malformed")

// ParseVerifyRequest reads the question. It must be a POST of exactly the three form fields, each once, in bounds;
// anything else is ErrMalformed. The address may be empty, for not every version gives one.
func ParseVerifyRequest(r *http.Request) (VerifyRequest, error) {
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if r.Method != http.MethodPost || strings.TrimSpace(mediaType) != "application/x-www-form-urlencoded" {
		return VerifyRequest{}, fmt.Errorf("%w: not a form that is posted", ErrMalformed)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return VerifyRequest{}, fmt.Errorf("read verify request: %w", err)
	}
	if len(body) > maxRequest {
		return VerifyRequest{}, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxRequest)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return VerifyRequest{}, fmt.Errorf("%w: not a form", ErrMalformed)
	}
	var q VerifyRequest
	fields := map[string]*string{"sessionId": &q.SessionID, "authenticationToken": &q.Token, "clientAddress": &q.ClientAddress}
	for name, into := range fields {
		values := form[name]
		if len(values) != 1 || len(values[0]) > maxField {
			return VerifyRequest{}, fmt.Errorf("%w: %s must be given once, and not be long", ErrMalformed, name)
		}
		*into = values[0]
	}
	if len(form) != len(fields) {
		return VerifyRequest{}, fmt.Errorf("%w: unknown fields", ErrMalformed)
	}
	return q, nil
}

// auth is the answer on the wire.
type auth struct {
	XMLName  xml.Name `xml:"auth"`
	Result   string   `xml:"result,attr"`
	Username string   `xml:"username,omitempty"`
	Message  string   `xml:"message,omitempty"`
}

// WriteVerdict answers: yes with the name of the session's owner, or no with the reason. The status is 200
// either way, since the protocol states none and servers differ in what they make of others.
func WriteVerdict(w http.ResponseWriter, ok bool, username, message string) error {
	a := auth{Result: "no", Message: message}
	if ok {
		a = auth{Result: "yes", Username: username}
	}
	body, err := xml.Marshal(a)
	if err != nil {
		return fmt.Errorf("write verdict: %w", err)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}

// Verdict is what a verifier said.
type Verdict struct {
	OK       bool
	Username string
	Message  string
	Header   http.Header // of the answer
}

// Verify asks as Ask does, and returns the parts of the verdict.
func Verify(ctx context.Context, client *http.Client, verifyURL, sessionID, token, clientAddress string) (username string, ok bool, message string, err error) {
	v, err := Ask(ctx, client, verifyURL, sessionID, token, clientAddress)
	return v.Username, v.OK, v.Message, err
}

// Ask asks the verifier at verifyURL. An error says that there was no verdict: the verifier could not be
// reached in time, or what it said is not one. Its text does not hold verifyURL, whose path is a secret.
func Ask(ctx context.Context, client *http.Client, verifyURL, sessionID, token, clientAddress string) (Verdict, error) {
	form := url.Values{"sessionId": {sessionID}, "authenticationToken": {token}, "clientAddress": {clientAddress}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, verifyURL, strings.NewReader(form.Encode()))
	if err != nil {
		return Verdict{}, errors.New("ask the verifier: its address is not one")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return Verdict{}, fmt.Errorf("ask the verifier: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Verdict{}, fmt.Errorf("read the verdict: %w", err)
	}
	var a auth
	if err := xml.Unmarshal(body, &a); err != nil || a.Result != "yes" && a.Result != "no" {
		return Verdict{}, fmt.Errorf("read the verdict: %w: status %d", ErrMalformed, resp.StatusCode)
	}
	return Verdict{OK: a.Result == "yes" && a.Username != "", Username: a.Username, Message: a.Message, Header: resp.Header}, nil
}
