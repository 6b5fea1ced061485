// Package agentapi is what the desktop's agent and the control plane say to each other: the documents, the
// paths and the bounds. It is the only thing the two share besides the nouns.
package agentapi

import (
	"slices"
	"time"

	"greenroom"
)

// Paths of the control plane, below its URL. All but enrol carry "Authorization: Bearer <agent token>".
const (
	EnrolPath       = "/agent/v1/enrol"        // POST Enrolment → Enrolled; Bearer is the one-time secret
	CertificatePath = "/agent/v1/certificate"  // POST CertificateRequest → Certificate
	ReportPath      = "/agent/v1/report"       // POST Report → Orders
	SessionDataPath = "/agent/v1/session-data" // PUT SessionData → 204
)

// Bounds of what a desktop may say.
const (
	MaxBody        = 64 << 10
	MaxConnections = 64
	HeartbeatEvery = 10 * time.Second // a report is sent at every change, and at least this often
	HoldFor        = 8 * time.Second  // an answer that would say what is known may wait so long for news; within a call's time
)

// SessionID is the name of the one session of a desktop, as DCV names its console session.
const SessionID = "console"

// Users of a DCV session beside its participant.
const (
	Host     = "host"     // sees and does everything
	Observer = "observer" // sees and hears
)

// What a connection to a noVNC desktop may do. One of them owns the screen and its size; those that watch see it.
const (
	Owner   = "owner"
	Watcher = "watch"
)

// LinksHeader goes with a verdict on a token: how often those inside had been cut off by a new link for the seat, as in Orders.
const LinksHeader = "Greenroom-Links"

// MaxClose bounds the connections that one answer asks to be closed.
const MaxClose = 8

// SessionCookie holds the id of a session with a noVNC desktop's agent. The prefix makes browsers insist on Secure, Path=/ and that
// very host.
const SessionCookie = "__Host-greenroom"

// UserData is what a machine is told at birth. It is readable by whoever uses the machine, so it
// holds one secret only, which is worth nothing once the agent has enrolled.
type UserData struct {
	InstanceID   string             `json:"instance_id,omitempty"` // empty where the machine learns it from its metadata
	ControlURL   string             `json:"control_url"`           // where the control plane answers
	ControlCA    string             `json:"control_ca,omitempty"`  // PEM of the authority to trust for it; empty is the system's
	Secret       string             `json:"secret"`                // the one-time enrolment secret
	KillAt       time.Time          `json:"kill_at"`               // the machine ends itself then
	Protocol     greenroom.Protocol `json:"protocol"`              // "novnc" or "dcv"
	Screen       string             `json:"screen"`                // WIDTHxHEIGHT
	Applications []string           `json:"applications"`          // command lines
	Title        string             `json:"title"`                 // of the meeting
	Role         string             `json:"role"`
	Hooks        string             `json:"hooks,omitempty"`      // directory with warmup.d and end.d; empty is the agent's own default
	VerifyURL    string             `json:"verify_url,omitempty"` // for a machine without an agent alone: its token verifier
	User         string             `json:"user,omitempty"`       // whose session it is
}

// Enrolment is the agent's first message. The certificate request's key is bound to the attempt: the same
// key may enrol again (the answer may have been lost), any other is refused.
type Enrolment struct {
	InstanceID         string `json:"instance_id"`
	CertificateRequest string `json:"certificate_request"`          // PEM, ECDSA P-256 or better
	Version            string `json:"version"`                      // of the agent
	IdentityDocument   string `json:"identity_document,omitempty"`  // on EC2: what the instance's metadata says it is, byte for byte
	IdentitySignature  string `json:"identity_signature,omitempty"` // of that, PKCS #7, as the metadata gives it ("rsa2048")
}

// Enrolled is what the agent needs from then on.
type Enrolled struct {
	AgentToken  string  `json:"agent_token"`
	Hostname    string  `json:"hostname"`
	VerifyURL   string  `json:"verify_url"` // POST of DCV's external authenticator, with the desktop's secret in its path
	ReturnURL   string  `json:"return_url"` // the lobby of this seat, without its key
	Meeting     Meeting `json:"meeting"`
	WrapUp      Seconds `json:"wrap_up"`     // the most that all end hooks get together
	Certificate string  `json:"certificate"` // PEM chain, leaf first; empty when it is still being made: ask CertificatePath
}

// Seconds is a duration in seconds.
type Seconds float64

// Duration is s for Go.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Meeting is what hooks are told of the meeting. It holds no secret.
type Meeting struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Role     string    `json:"role"`
	Name     string    `json:"name"` // of the participant
	VideoURL string    `json:"video_url"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
}

// CertificateRequest asks for a first or a renewed certificate, with the key that enrolled.
type CertificateRequest struct {
	CertificateRequest string `json:"certificate_request"`
}

// Certificate answers it; 202 with an empty one means: ask again.
type Certificate struct {
	Certificate string `json:"certificate"`
}

// Report is the desktop's present state, whole: losing one loses nothing that the next does not say.
type Report struct {
	Version     string       `json:"version,omitempty"`   // of the agent
	Ready       bool         `json:"ready"`               // screen, window manager and warm-up are done
	Error       string       `json:"error"`               // why it will never be ready; a sentence
	Permanent   bool         `json:"permanent"`           // no other machine would do better: a missing package, say
	Connections []Connection `json:"connections"`         // who is connected now
	Problem     string       `json:"problem,omitempty"`   // the present problem, which may clear by itself; a sentence
	Licence     string       `json:"licence,omitempty"`   // state of the desktop server's licence, in its words
	EndHooks    bool         `json:"end_hooks,omitempty"` // there is something to do before the desktop goes
	Ended       bool         `json:"ended,omitempty"`     // that is done
	Heard       *Orders      `json:"heard,omitempty"`     // the last answer: the control plane may hold the next one until it is another, HoldFor at most
}

// Connection is one participant's connection.
type Connection struct {
	ID          string    `json:"id"`
	Client      string    `json:"client"` // address
	ConnectedAt time.Time `json:"connected_at"`
	User        string    `json:"user,omitempty"`     // of the session; empty where all are the participant
	Role        string    `json:"role,omitempty"`     // Owner or Watcher; empty where the desktop knows no difference
	ActiveAt    time.Time `json:"active_at,omitzero"` // last input
}

// Orders is the answer to a report.
type Orders struct {
	Ending  string    `json:"ending,omitempty"`  // set when the desktop is about to go: a sentence for the participant
	EndsAt  time.Time `json:"ends_at,omitzero"`  // when the meeting ends, for time-left notices
	Retired bool      `json:"retired,omitempty"` // the desktop no longer belongs to anything: end yourself
	Links   int       `json:"links,omitempty"`   // how often a new link has cut off those inside: who came in before the last time goes
	Close   []string  `json:"close,omitempty"`   // ids of connections to be closed, whose browsers need a new token to come back
}

// Same reports whether two answers say the same.
func (o Orders) Same(other Orders) bool {
	return o.Ending == other.Ending && o.EndsAt.Equal(other.EndsAt) && o.Retired == other.Retired &&
		o.Links == other.Links && slices.Equal(o.Close, other.Close)
}

// SessionData says that the seat's session is over and where its data lies.
type SessionData struct {
	URL string `json:"url"`
}
