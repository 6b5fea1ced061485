package greenroom

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
)

var (
	idEncoding     = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	instancePatten = regexp.MustCompile(`^i-[0-9a-f]{17}$`)
)

const lettersAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789"

// NewMeetingID returns 16 lower-case letters and digits carrying 80 random bits.
func NewMeetingID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails: it ends the process instead
	return idEncoding.EncodeToString(b[:])
}

// ValidMeetingID reports whether s has the form of a meeting id.
func ValidMeetingID(s string) bool {
	return len(s) >= 12 && len(s) <= 32 && strings.Trim(s, lettersAndDigits) == ""
}

// ValidRole reports whether s can be a role: lower-case letters, digits and dashes, 32 at most. Ids of seats have the same form.
func ValidRole(s string) bool {
	return s != "" && len(s) <= maxRole && 'a' <= s[0] && s[0] <= 'z' && strings.Trim(s, lettersAndDigits+"-") == ""
}

// maxRole bounds roles and ids of seats, in bytes: with a meeting's id they fit into a provider's token.
const maxRole = 32

// ValidInstanceID reports whether s has the form of an EC2 instance id: "i-" and 17 hex digits.
func ValidInstanceID(s string) bool { return instancePatten.MatchString(s) }

// InstanceIDFromToken derives an instance id of EC2's form from an idempotency token, so that a provider
// that invents its own ids gives the same one for the same token.
func InstanceIDFromToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "i-" + hex.EncodeToString(sum[:])[:17]
}

// NewSecret returns 256 random bits as 43 URL-safe characters: a join key or a desktop token.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// HashSecret returns the form in which a secret is stored: its SHA-256 in hex. The secrets are random and
// long, so a slow password hash would add nothing.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// SameSecret compares two secrets, or two hashes, in constant time.
func SameSecret(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// Handle names one attempt at a seat's desktop. Its String is the provider's idempotency token: equal for
// every retry of one launch, different for the next attempt.
type Handle struct {
	Meeting string
	Seat    string // its id
	Attempt int
}

// Token is the provider's idempotency token: at most 64 ASCII characters, as EC2 demands.
func (h Handle) Token() string { return h.Meeting + "." + h.Seat + "." + itoa(h.Attempt) }

// ParseHandle reads what Token wrote.
func ParseHandle(token string) (Handle, bool) {
	meeting, rest, ok := strings.Cut(token, ".")
	seat, attempt, ok2 := strings.Cut(rest, ".")
	n, ok3 := atoi(attempt)
	h := Handle{Meeting: meeting, Seat: seat, Attempt: n}
	return h, ok && ok2 && ok3 && ValidMeetingID(meeting) && ValidRole(seat)
}

// ValidHostname reports whether s is a DNS host name in lower case without the final dot (RFC 1123).
func ValidHostname(s string) bool {
	const longest, longestLabel = 253, 63
	if len(s) > longest {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > longestLabel || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, lettersAndDigits+"-") != "" {
			return false
		}
	}
	return true
}
