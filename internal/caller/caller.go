// Package caller says who asks for something, for the log and the timeline. It travels in the context of a request.
package caller

import "context"

// Caller is who sent a request.
type Caller struct {
	By      string // Loopback, Participant, Desktop, or Organiser of a token; empty: nobody that is known
	Address string // IP address without a port
	Route   string // pattern of the route that answered; empty until one did
	Status  int    // of the answer; 0 until there is one
}

// Who callers are.
const (
	Loopback    = "loopback"    // no token is configured: everybody who reaches the listener is the organiser
	Participant = "participant" // with the key of a link, or a right one is still to be shown
	Desktop     = "desktop"     // an agent, or a desktop's server
	Public      = "public"      // what everybody may see
)

// tokenPrefix is how much of a token's hash names it: enough to find its line in the token file.
const tokenPrefix = 8

// Organiser names an organiser by the SHA-256 of their token in hexadecimal. Of the hash only the beginning is shown.
func Organiser(hash string) string { return "organiser:" + hash[:min(len(hash), tokenPrefix)] }

type key struct{}

// With returns a context with c. Whoever knows more about the caller later changes *c, before other goroutines read it.
func With(ctx context.Context, c *Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// In returns the context's caller to be completed, or nil.
func In(ctx context.Context) *Caller {
	c, _ := ctx.Value(key{}).(*Caller)
	return c
}

// Of returns the context's caller; the zero Caller is greenroom itself.
func Of(ctx context.Context) Caller {
	if c := In(ctx); c != nil {
		return *c
	}
	return Caller{}
}
