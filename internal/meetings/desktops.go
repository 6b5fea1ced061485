package meetings

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/certs"
	"greenroom/internal/plaintext"
)

// UserData is what the machine of a seat's current attempt is told at birth.
func (s *Service) UserData(m *greenroom.Meeting, seat *greenroom.Seat) ([]byte, error) {
	b := m.Blueprint.For(seat.Role)
	data := agentapi.UserData{
		ControlURL: s.Links.ControlURL, ControlCA: s.Links.ControlCA,
		Secret:   s.enrolment(m, seat),
		KillAt:   seat.Desktop.KillAt,
		Protocol: b.Protocol, Screen: b.Screen, Applications: b.Applications,
		Hooks: b.Hooks,
	}
	if m.Blueprint.Protocol == greenroom.DCV {
		data.User = m.Blueprint.Owner(seat.Role)
	}
	if !seat.Desktop.Launch.Together() { // what machines that start together are told is the same for all, and at every try
		data.Title, data.Role = plaintext.Clean(m.Title), seat.Role
	}
	if !m.Blueprint.Reports() { // nobody will enrol: the image's own script tells its desktop server
		data.VerifyURL = s.verifyURL(m.Handle(seat), "")
	}
	return json.Marshal(data)
}

// enrolment is the secret with which a seat's machine enrols. Machines that were launched in one call share it: it is
// named after the first of them, and the machine's instance id says which one it is.
func (s *Service) enrolment(m *greenroom.Meeting, seat *greenroom.Seat) string {
	l := seat.Desktop.Launch
	if handles := l.Handles(m.ID); l.Together() && len(handles) > 0 {
		return s.Keys.secret(forEnrolment, handles[0], strings.Join(l.Seats, " "))
	}
	return s.Keys.secret(forEnrolment, m.Handle(seat), "")
}

// enrolling finds the seat whose machine says with the secret that it is instance. ErrForbidden if there is none.
func (s *Service) enrolling(m *greenroom.Meeting, secret, instance string) (*greenroom.Seat, error) {
	var found *greenroom.Seat
	for i := range m.Seats {
		seat := &m.Seats[i]
		d := &seat.Desktop
		if !d.MayExist() || !greenroom.SameSecret(s.enrolment(m, seat), secret) {
			continue
		}
		switch {
		case d.InstanceID == instance, !d.Launch.Together():
			return seat, nil
		case d.InstanceID == "":
			found = seat // it may be this one's: its caller is told to ask again
		}
	}
	if found == nil {
		return nil, greenroom.ErrForbidden
	}
	return found, nil
}

// verifyURL is the token verifier of the desktop whose agent enrolled with key.
func (s *Service) verifyURL(h greenroom.Handle, key string) string {
	return s.Links.ControlURL + "/dcv/verify/" + s.Keys.secret(forVerifier, h, key)
}

// caller checks a desktop's secret against the meeting it names and returns the seat whose current attempt
// it belongs to. Everything else is ErrForbidden, whatever the reason, so that nothing can be learned by trying.
func (s *Service) caller(m *greenroom.Meeting, p purpose, secret string) (*greenroom.Seat, error) {
	h, _ := handle(secret)
	seat := m.AnySeat(h.Seat)
	if seat == nil || m.Handle(seat) != h || !seat.Desktop.MayExist() {
		return nil, greenroom.ErrForbidden
	}
	if !greenroom.SameSecret(s.Keys.secret(p, h, seat.Desktop.Agent.KeyHash), secret) {
		return nil, greenroom.ErrForbidden
	}
	return seat, nil
}

// asDesktop changes the meeting on behalf of the desktop that owns secret.
func (s *Service) asDesktop(ctx context.Context, p purpose, secret string, f func(m *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error)) (greenroom.Meeting, greenroom.Handle, error) {
	return s.asSeat(ctx, secret, func(m *greenroom.Meeting) (*greenroom.Seat, error) { return s.caller(m, p, secret) }, f)
}

// asSeat changes the meeting that the secret names on behalf of the seat that who finds the secret to be of. It returns that
// seat's handle, or the one that the secret claims. A secret that is made up for a desktop that exists is on that desktop's timeline.
func (s *Service) asSeat(ctx context.Context, secret string, who func(m *greenroom.Meeting) (*greenroom.Seat, error),
	f func(m *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error)) (greenroom.Meeting, greenroom.Handle, error) {
	claimed, ok := handle(secret)
	if !ok {
		return greenroom.Meeting{}, claimed, greenroom.ErrForbidden
	}
	h, stranger := claimed, false
	m, err := s.change(ctx, claimed.Meeting, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		stranger = false
		seat, err := who(m)
		if err == nil {
			h = m.Handle(seat)
			return f(m, seat, now)
		}
		if seat = m.AnySeat(claimed.Seat); seat == nil || m.Handle(seat) != claimed || !seat.Desktop.MayExist() {
			return nil, err
		}
		stranger = true
		return refuse(seat, "A call with a wrong secret was refused.", now)
	})
	if err == nil && stranger || errors.Is(err, greenroom.ErrNotFound) {
		err = greenroom.ErrForbidden
	}
	return m, h, err
}

// Enrol makes the caller the agent of the desktop that the one-time secret was made for. The secret is spent
// on the public key of the request: the same key may ask again, since the answer may have been lost;
// any other is refused, and the timeline tells.
func (s *Service) Enrol(ctx context.Context, secret string, in agentapi.Enrolment) (agentapi.Enrolled, error) {
	key, err := keyHash(in.CertificateRequest)
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	refused := false
	who := func(m *greenroom.Meeting) (*greenroom.Seat, error) { return s.enrolling(m, secret, in.InstanceID) }
	m, h, err := s.asSeat(ctx, secret, who, func(m *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error) {
		d := &seat.Desktop
		refused = d.Agent.KeyHash != "" && d.Agent.KeyHash != key || d.InstanceID != "" && d.InstanceID != in.InstanceID
		switch {
		case refused:
			return refuse(seat, "An enrolment with a spent secret or from another machine was refused.", now)
		case !d.Phase.Live():
			return nil, greenroom.ErrForbidden
		case d.InstanceID == "":
			return nil, &greenroom.UserError{Message: "The provider's answer is not saved yet; ask again.", Cause: greenroom.ErrThrottled}
		case d.Agent.KeyHash == key:
			return nil, errUnchanged
		}
		if why := s.impostor(m, d, in, now); why != "" {
			refused = true
			return refuse(seat, why, now, "instance", clip(in.InstanceID))
		}
		d.Agent.KeyHash, d.Agent.EnrolledAt, d.Agent.Version = key, now, clip(sentence(in.Version))
		s.names.put(d.Hostname, m.Handle(seat))
		return []greenroom.Event{{At: now, Kind: greenroom.EventEnrolled, Seat: seat.ID, Attempt: d.Attempt,
			Message: "The desktop's agent enrolled.", Data: map[string]string{"version": d.Agent.Version}}}, nil
	})
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	if refused {
		return agentapi.Enrolled{}, greenroom.ErrForbidden
	}
	seat := m.AnySeat(h.Seat)
	chain, err := s.issue(ctx, seat, in.CertificateRequest)
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	return agentapi.Enrolled{
		AgentToken: s.Keys.secret(forAgent, h, key), Hostname: seat.Desktop.Hostname,
		VerifyURL:   s.verifyURL(h, key),
		ReturnURL:   s.lobbyURL(h.Meeting, h.Seat),
		Certificate: chain, WrapUp: agentapi.Seconds(time.Duration(m.Blueprint.Rules.WrapUp).Seconds()),
		Meeting: agentapi.Meeting{ID: m.ID, Title: m.Title, Role: seat.Role, Name: seat.Name, VideoURL: s.VideoURL(m), StartsAt: m.StartsAt, EndsAt: m.EndsAt},
	}, nil
}

// keyHash names the public key of a PEM certificate request, whose signature is checked.
func keyHash(request string) (string, error) {
	block, _ := pem.Decode([]byte(request))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return "", badRequest("give a PEM block CERTIFICATE REQUEST")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return "", badRequest("the certificate request is malformed, or its signature is not its key's")
	}
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

func badRequest(why string) error {
	var bad greenroom.InvalidError
	bad.Add("certificate_request", "%s", why)
	return bad.Err()
}

// maxRefused bounds what is counted, and so written, of one reason to refuse something to a desktop.
const maxRefused = 1000

// refuse counts a refusal, and notes the first, the tenth, the hundredth and the thousandth for a reason on the timeline, with
// the evidence, names and values in turn. It is no news for the plan: whoever is refused often must not make it think often.
// The reasons are greenroom's own sentences, so they are few.
func refuse(seat *greenroom.Seat, message string, now time.Time, evidence ...string) ([]greenroom.Event, error) {
	n := count(&seat.Desktop, message)
	switch {
	case n == 0:
		return nil, errUnchanged
	case !milestone(n):
		return nil, errNoted
	}
	data := map[string]string{"times": strconv.Itoa(n)}
	for i := 1; i < len(evidence); i += 2 {
		data[evidence[i-1]] = evidence[i]
	}
	return []greenroom.Event{{At: now, Kind: greenroom.EventRefused, Seat: seat.ID, Attempt: seat.Desktop.Attempt, Message: message, Data: data}}, errNoted
}

// RefuseCall puts on the timeline that a call with one of a desktop's secrets, its agent's or the one-time one, was refused for
// why, one of greenroom's own sentences. ErrForbidden if bearer is no desktop's.
func (s *Service) RefuseCall(ctx context.Context, bearer, why string) error {
	_, _, err := s.asSeat(ctx, bearer, func(m *greenroom.Meeting) (*greenroom.Seat, error) { return s.bearer(m, bearer) },
		func(_ *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error) {
			return refuse(seat, why, now)
		})
	return err
}

// bearer finds the seat one of whose agent's secrets this is. Machines that were launched in one call share the one-time
// secret: it stands for the first of them.
func (s *Service) bearer(m *greenroom.Meeting, secret string) (*greenroom.Seat, error) {
	if seat, err := s.caller(m, forAgent, secret); err == nil {
		return seat, nil
	}
	for i := range m.Seats {
		if seat := &m.Seats[i]; seat.Desktop.MayExist() && greenroom.SameSecret(s.enrolment(m, seat), secret) {
			return seat, nil
		}
	}
	return nil, greenroom.ErrForbidden
}

// count is how often the same has happened now, 0 if it is no longer counted.
func count(d *greenroom.Desktop, what string) int {
	if d.Refused[what] >= maxRefused {
		return 0
	}
	if d.Refused == nil {
		d.Refused = map[string]int{}
	}
	d.Refused[what]++
	return d.Refused[what]
}

// milestone reports whether the timeline tells of the nth time.
func milestone(n int) bool { return n == 1 || n == 10 || n == 100 || n == maxRefused }

// issue returns no chain when the agent should ask again: the authority needs longer, or needs the name in the
// request, which the agent learns by enrolling.
func (s *Service) issue(ctx context.Context, seat *greenroom.Seat, request string) (string, error) {
	chain, err := s.Issuer.Issue(ctx, []byte(request), seat.Desktop.Hostname, seat.Desktop.KillAt)
	if errors.Is(err, certs.ErrPending) || errors.Is(err, certs.ErrUnnamed) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("issue certificate for %s: %w", seat.Desktop.Hostname, err)
	}
	return string(chain), nil
}

// Certificate signs a first or renewed certificate for the key that enrolled.
func (s *Service) Certificate(ctx context.Context, token string, in agentapi.CertificateRequest) (agentapi.Certificate, error) {
	key, err := keyHash(in.CertificateRequest)
	if err != nil {
		return agentapi.Certificate{}, err
	}
	m, h, err := s.asDesktop(ctx, forAgent, token, func(_ *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error) {
		if seat.Desktop.Agent.KeyHash != key {
			return refuse(seat, "A certificate for a key that did not enrol was refused.", now)
		}
		return nil, errUnchanged
	})
	if err != nil {
		return agentapi.Certificate{}, err
	}
	if m.AnySeat(h.Seat).Desktop.Agent.KeyHash != key {
		return agentapi.Certificate{}, greenroom.ErrForbidden
	}
	chain, err := s.issue(ctx, m.AnySeat(h.Seat), in.CertificateRequest)
	return agentapi.Certificate{Certificate: chain}, err
}

// AgentSessionData is SessionData said by the desktop itself.
func (s *Service) AgentSessionData(ctx context.Context, token, where string) error {
	bad := checkDataURL(where)
	_, h, err := s.asDesktop(ctx, forAgent, token, func(_ *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error) {
		if bad != nil {
			return refuse(seat, "Session data was refused: the address is invalid.", now)
		}
		return nil, errUnchanged
	})
	if err := cmp.Or(err, bad); err != nil {
		return err
	}
	return s.SessionData(ctx, h.Meeting, h.Seat, where)
}

const maxDataURL = 2048 // bytes

func checkDataURL(where string) error {
	u, err := url.Parse(where)
	if err == nil && len(where) <= maxDataURL && (u.Scheme == "s3" || u.Scheme == "https") && u.Host != "" && u.User == nil && plaintext.Fault(where) == "" {
		return nil
	}
	var bad greenroom.InvalidError
	bad.Add("url", "give an s3:// or https:// URL of at most %d bytes, without a password", maxDataURL)
	return bad.Err()
}

// Verify answers a desktop server that asks whether a token lets its bearer in. An unused token is good
// until it expires and is then bound to the client's address; a used one is good for that address
// as long as the desktop lives. An error means that nothing could be decided.
func (s *Service) Verify(ctx context.Context, secret, sessionID, token, client string) (Verdict, error) {
	address, _ := netip.ParseAddr(client)
	if !address.IsValid() {
		return s.RefuseQuestion(ctx, secret, "the client address is missing or malformed")
	}
	client = address.Unmap().String()
	verdict := Verdict{}
	_, _, err := s.asDesktop(ctx, forVerifier, secret, func(m *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error) {
		if seat.Desktop.Enterable() && s.opens(m.Handle(seat), token, client, now) {
			verdict = Verdict{OK: true, Username: m.Blueprint.Owner(seat.Role)}
			return nil, errUnchanged
		}
		var events []greenroom.Event
		var err error
		verdict, events, err = redeem(m, seat, sessionID, token, client, now)
		return events, err
	})
	if errors.Is(err, greenroom.ErrForbidden) {
		return Verdict{Message: "this desktop is not known"}, nil
	}
	if err != nil {
		return Verdict{}, err
	}
	return verdict, nil
}

// redeem decides whether token lets its bearer at client into the seat's desktop, and what that changes.
func redeem(m *greenroom.Meeting, seat *greenroom.Seat, sessionID, token, client string, now time.Time) (Verdict, []greenroom.Event, error) {
	d := &seat.Desktop
	known := sessionID == agentapi.SessionID || sessionID == d.InstanceID // DCV's gateway knows the session by the instance
	if !known || !d.Enterable() || seat.Removed || m.EndReason != "" {
		events, err := refuse(seat, "A token was refused: no such session.", now, "client", client)
		return Verdict{Message: "there is no such session"}, events, err
	}
	t := find(d.Tokens, token)
	if why := refusal(t, client, now); why != "" {
		events, err := refuse(seat, "A token was refused: "+why+".", now, "client", client)
		return Verdict{Message: why}, events, err
	}
	verdict := Verdict{OK: true, Username: cmp.Or(t.As, m.Blueprint.Owner(seat.Role)), Links: seat.Rekeyed}
	if t.Client != "" {
		return verdict, nil, errUnchanged
	}
	used := func(o greenroom.Token) bool { return o.Client == client && now.Sub(o.UsedAt) < again }
	repeated := slices.ContainsFunc(d.Tokens, used)
	t.Client, t.UsedAt = client, now
	if repeated {
		return verdict, nil, errNoted
	}
	return verdict, []greenroom.Event{{At: now, Kind: greenroom.EventVerified, Seat: seat.ID, Attempt: d.Attempt,
		Message: whose(t, seat) + " token was accepted.", Data: map[string]string{"client": client, "user": verdict.Username}}}, nil
}

// RefuseQuestion is the verdict on a question that is not valid, with its entry on the timeline.
func (s *Service) RefuseQuestion(ctx context.Context, secret, why string) (Verdict, error) {
	_, _, err := s.asDesktop(ctx, forVerifier, secret, func(_ *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error) {
		return refuse(seat, "A malformed question about a token was refused.", now)
	})
	if errors.Is(err, greenroom.ErrForbidden) {
		why, err = "this desktop is not known", nil
	}
	return Verdict{Message: why}, err
}

func find(tokens []greenroom.Token, token string) *greenroom.Token {
	hash := greenroom.HashSecret(token)
	var found *greenroom.Token
	for i := range tokens {
		if greenroom.SameSecret(tokens[i].Hash, hash) {
			found = &tokens[i]
		}
	}
	return found
}

// refusal says why a token lets nobody in, "" if it does.
func refusal(t *greenroom.Token, client string, now time.Time) string {
	switch {
	case t == nil:
		return "the token is not known"
	case t.Client == "" && t.ExpiresAt.Before(now):
		return "the token was not used in time"
	case t.Client != "" && t.Client != client:
		return "the token was used from another address"
	}
	return ""
}
