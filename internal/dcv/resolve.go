package dcv

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"greenroom"
)

// ResolvePath is what a DCV Connection Gateway posts its question to, below the address of its resolver.
const ResolvePath = "/resolveSession"

// ResolveRequest is a connection gateway's question: where is this session?
type ResolveRequest struct {
	SessionID     string // as the participant's address has it
	Transport     string // "HTTP" or "QUIC"
	ClientAddress string // may be empty, or a load balancer's
}

// ParseResolveRequest reads the question from the query. Anything out of bounds is ErrMalformed.
func ParseResolveRequest(r *http.Request) (ResolveRequest, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return ResolveRequest{}, fmt.Errorf("%w: not a query", ErrMalformed)
	}
	var q ResolveRequest
	for name, into := range map[string]*string{"sessionId": &q.SessionID, "transport": &q.Transport, "clientIpAddress": &q.ClientAddress} {
		if values := query[name]; len(values) > 1 || len(query.Get(name)) > maxField {
			return ResolveRequest{}, fmt.Errorf("%w: %s must be given once, and not be long", ErrMalformed, name)
		}
		*into = query.Get(name)
	}
	switch _, bad := netip.ParseAddr(q.ClientAddress); {
	case q.SessionID == "":
		return ResolveRequest{}, fmt.Errorf("%w: sessionId is missing", ErrMalformed)
	case q.Transport != "HTTP" && q.Transport != "QUIC":
		return ResolveRequest{}, fmt.Errorf("%w: transport must be HTTP or QUIC", ErrMalformed)
	case q.ClientAddress != "" && bad != nil:
		return ResolveRequest{}, fmt.Errorf("%w: clientIpAddress is not an address", ErrMalformed)
	}
	return q, nil
}

// ResolveAnswer is the answer on the wire.
type ResolveAnswer struct {
	SessionID         string `json:"SessionId"`
	TransportProtocol string `json:"TransportProtocol"`
	DcvServerEndpoint string `json:"DcvServerEndpoint"`
	Port              int    `json:"Port"`
	WebURLPath        string `json:"WebUrlPath"`
}

// Resolved answers that the session is the console session of the DCV server at host.
func Resolved(q ResolveRequest, host string) ResolveAnswer {
	return ResolveAnswer{SessionID: "console", TransportProtocol: q.Transport, DcvServerEndpoint: host, Port: greenroom.DesktopPort, WebURLPath: "/"}
}
