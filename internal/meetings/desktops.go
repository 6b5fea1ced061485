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
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/agentapi"
	"greenroom/internal/certs"
)

// UserData is what the machine of a seat's current attempt is told at birth.
func (s *Service) UserData(m *greenroom.Meeting, seat *greenroom.Seat) ([]byte, error) {
	data := agentapi.UserData{
		ControlURL: s.Links.ControlURL, ControlCA: s.Links.ControlCA,
		Secret:   s.enrolment(m, seat),
		KillAt:   seat.Desktop.KillAt,
		Protocol: m.Blueprint.Protocol, Screen: m.Blueprint.Screen, Applications: m.Blueprint.Applications,
		Hooks: m.Blueprint.Hooks,
	}
	if m.Blueprint.Protocol == "dcv" {
		data.User = m.Blueprint.Owner(seat.Role)
	}
	if !seat.Desktop.Launch.Together() { // what machines that start together are told is the same for all, and at every try
		data.Title, data.Role = m.Title, seat.Role
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
	seat := m.AnySeat(h.Role)
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
// seat's handle, or the one that the secret claims.
func (s *Service) asSeat(ctx context.Context, secret string, who func(m *greenroom.Meeting) (*greenroom.Seat, error),
	f func(m *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error)) (greenroom.Meeting, greenroom.Handle, error) {
	h, ok := handle(secret)
	if !ok {
		return greenroom.Meeting{}, h, greenroom.ErrForbidden
	}
	m, err := s.change(ctx, h.Meeting, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		seat, err := who(m)
		if err != nil {
			return nil, err
		}
		h = m.Handle(seat)
		return f(m, seat, now)
	})
	if errors.Is(err, greenroom.ErrNotFound) {
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
		d.Agent.KeyHash, d.Agent.EnrolledAt = key, now
		s.names.put(d.Hostname, m.Handle(seat))
		return []greenroom.Event{{At: now, Kind: greenroom.EventEnrolled, Role: seat.Role, Attempt: d.Attempt,
			Message: "The desktop's agent enrolled.", Data: map[string]string{"version": clip(in.Version)}}}, nil
	})
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	if refused {
		return agentapi.Enrolled{}, greenroom.ErrForbidden
	}
	seat := m.AnySeat(h.Role)
	chain, err := s.issue(ctx, seat, in.CertificateRequest)
	if err != nil {
		return agentapi.Enrolled{}, err
	}
	return agentapi.Enrolled{
		AgentToken: s.Keys.secret(forAgent, h, key), Hostname: seat.Desktop.Hostname,
		VerifyURL:   s.verifyURL(h, key),
		ReturnURL:   s.lobbyURL(h.Meeting, h.Role),
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
// the evidence, names and values in turn.
// The reasons are greenroom's own sentences, so they are few.
func refuse(seat *greenroom.Seat, message string, now time.Time, evidence ...string) ([]greenroom.Event, error) {
	n := count(&seat.Desktop, message)
	switch {
	case n == 0:
		return nil, errUnchanged
	case !milestone(n):
		return nil, nil
	}
	data := map[string]string{"times": strconv.Itoa(n)}
	for i := 1; i < len(evidence); i += 2 {
		data[evidence[i-1]] = evidence[i]
	}
	return []greenroom.Event{{At: now, Kind: greenroom.EventRefused, Role: seat.Role, Attempt: seat.Desktop.Attempt, Message: message, Data: data}}, nil
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
	m, h, err := s.asDesktop(ctx, forAgent, token, func(_ *greenroom.Meeting, seat *greenroom.Seat, _ time.Time) ([]greenroom.Event, error) {
		if seat.Desktop.Agent.KeyHash != key {
			return nil, greenroom.ErrForbidden
		}
		return nil, errUnchanged
	})
	if err != nil {
		return agentapi.Certificate{}, err
	}
	chain, err := s.issue(ctx, m.AnySeat(h.Role), in.CertificateRequest)
	return agentapi.Certificate{Certificate: chain}, err
}

// Report takes a desktop's present state and answers with what the desktop should know. Only news is saved:
// a heartbeat that says what is known costs no write.
func (s *Service) Report(ctx context.Context, token string, in agentapi.Report) (agentapi.Orders, error) {
	if len(in.Connections) > agentapi.MaxConnections {
		var bad greenroom.InvalidError
		bad.Add("connections", "at most %d connections", agentapi.MaxConnections)
		return agentapi.Orders{}, bad.Err()
	}
	m, h, err := s.asDesktop(ctx, forAgent, token, func(_ *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error) {
		changed, events := learn(seat, in, now)
		if !changed {
			return nil, errUnchanged
		}
		return events, nil
	})
	switch {
	case errors.Is(err, greenroom.ErrForbidden) && s.retired(ctx, h):
		return agentapi.Orders{Retired: true}, nil
	case errors.Is(err, greenroom.ErrForbidden):
		return agentapi.Orders{}, err
	case err != nil:
		return agentapi.Orders{}, fmt.Errorf("take report: %w", err)
	}
	orders := agentapi.Orders{EndsAt: m.EndsAt}
	switch seat := m.AnySeat(h.Role); {
	case m.EndReason != "":
		orders.Ending = endMessage(m.EndReason)
	case seat.Desktop.Phase == greenroom.Terminating:
		orders.Ending = goneMessage(seat.Desktop.EndReason)
	}
	return orders, nil
}

// retired reports whether the attempt is over. Its secrets can no longer be checked then, but whoever asks learns
// only that it should end itself.
func (s *Service) retired(ctx context.Context, h greenroom.Handle) bool {
	m, err := s.Meeting(ctx, h.Meeting)
	if err != nil {
		return false
	}
	seat := m.AnySeat(h.Role)
	return seat == nil || seat.Desktop.Attempt > h.Attempt || seat.Desktop.Attempt == h.Attempt && !seat.Desktop.MayExist()
}

// learn folds a report into the desktop's facts.
func learn(seat *greenroom.Seat, in agentapi.Report, now time.Time) (bool, []greenroom.Event) {
	d := &seat.Desktop
	a := &d.Agent
	var events []greenroom.Event
	tell := func(kind greenroom.EventKind, message string, data map[string]string) {
		events = append(events, greenroom.Event{At: now, Kind: kind, Role: seat.Role, Attempt: d.Attempt, Message: message, Data: data})
	}
	changed := false
	if in.Ready && a.ReadyAt.IsZero() {
		a.ReadyAt, changed = now, true
		tell(greenroom.EventPhase, "The screen is up and its applications run.", nil)
	}
	if in.Error != "" && a.Error == "" {
		a.Error, a.Permanent, changed = sentence(in.Error), in.Permanent, true
	}
	if p, l := sentence(in.Problem), clip(in.Licence); p != a.Problem || l != a.Licence || in.EndHooks != a.EndHooks {
		if p != a.Problem && p != "" && milestone(count(d, "problem")) {
			tell(greenroom.EventRetry, "The desktop reports a problem: "+p, nil)
		}
		a.Problem, a.Licence, a.EndHooks, changed = p, l, in.EndHooks, true
	}
	if in.Ended && a.EndedAt.IsZero() && d.Phase == greenroom.Terminating {
		a.EndedAt, changed = now, true
		tell(greenroom.EventPhase, "The desktop has done what was to be done before it goes.", nil)
	}
	connections := participants(in.Connections)
	if n := len(connections); n != a.Connections && (d.Phase == greenroom.Ready || d.Phase == greenroom.InUse) {
		changed = true
		switch {
		case n > a.Connections:
			if a.ConnectedAt.IsZero() {
				a.ConnectedAt = now
			}
			tell(greenroom.EventConnected, nameOf(seat)+" connected.", map[string]string{"client": clip(connections[n-1].Client), "connections": fmt.Sprint(n)})
		default:
			tell(greenroom.EventDisconnected, nameOf(seat)+" disconnected.", map[string]string{"connections": fmt.Sprint(n)})
			if n == 0 {
				a.DisconnectedAt, seat.LeftAt = now, now
			}
		}
		a.Connections = n
	}
	return changed, events
}

// maxSentence bounds what a desktop may have shown to people.
const maxSentence = 300

func sentence(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if r := []rune(clean); len(r) > maxSentence {
		return string(r[:maxSentence]) + "…"
	}
	return clean
}

// AgentSessionData is SessionData said by the desktop itself.
func (s *Service) AgentSessionData(ctx context.Context, token, where string) error {
	_, h, err := s.asDesktop(ctx, forAgent, token, func(*greenroom.Meeting, *greenroom.Seat, time.Time) ([]greenroom.Event, error) {
		return nil, errUnchanged
	})
	if err != nil {
		return err
	}
	return s.SessionData(ctx, h.Meeting, h.Role, where)
}

const maxDataURL = 2048 // bytes

func checkDataURL(where string) error {
	u, err := url.Parse(where)
	if err == nil && len(where) <= maxDataURL && (u.Scheme == "s3" || u.Scheme == "https") && u.Host != "" && u.User == nil && printable(where) {
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
	if !known || !enterable(d) {
		events, err := refuse(seat, "A token was refused: no such session.", now, "client", client)
		return Verdict{Message: "there is no such session"}, events, err
	}
	t := find(d.Tokens, token)
	if why := refusal(t, client, now); why != "" {
		events, err := refuse(seat, "A token was refused: "+why+".", now, "client", client)
		return Verdict{Message: why}, events, err
	}
	verdict := Verdict{OK: true, Username: cmp.Or(t.As, m.Blueprint.Owner(seat.Role))}
	if t.Client != "" {
		return verdict, nil, errUnchanged
	}
	t.Client, t.UsedAt = client, now
	return verdict, []greenroom.Event{{At: now, Kind: greenroom.EventVerified, Role: seat.Role, Attempt: d.Attempt,
		Message: whose(t, seat) + " token was accepted.", Data: map[string]string{"client": client, "user": verdict.Username}}}, nil
}

// enterable reports whether participants may be in the desktop now.
func enterable(d *greenroom.Desktop) bool {
	return d.Phase == greenroom.Ready || d.Phase == greenroom.InUse
}

// RefuseQuestion is the verdict on a question that is none, with its entry on the timeline.
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
