package meetings

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"greenroom"
)

// Keys derives the secrets of desktops from one master key and the attempt's handle. Nothing has to be
// stored to check one, a retried launch carries the same one, and a new attempt has others.
type Keys struct{ Master []byte }

// purpose keeps the secrets of one desktop apart.
type purpose string

const (
	forEnrolment purpose = "enrol"  // one-time: to become this desktop's agent
	forAgent     purpose = "agent"  // to speak for this desktop
	forVerifier  purpose = "verify" // to ask whether a token is good for this desktop
	forPass      purpose = "pass"   // to be let through the edge to this desktop
	forOpening   purpose = "open"   // to open a session with the desktop's agent, on behalf of who has a pass
)

// secret is "<token>.<mac>": it names its meeting, so that no index is needed to find it.
func (k Keys) secret(p purpose, h greenroom.Handle, bound string) string {
	mac := hmac.New(sha256.New, k.Master)
	for _, part := range []string{string(p), h.Token(), bound} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return h.Token() + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// handle reads whom a secret claims to be for. It proves nothing: compare with secret.
func handle(secret string) (greenroom.Handle, bool) {
	i := strings.LastIndexByte(secret, '.')
	if i < 0 || len(secret) > 256 {
		return greenroom.Handle{}, false
	}
	return greenroom.ParseHandle(secret[:i])
}
