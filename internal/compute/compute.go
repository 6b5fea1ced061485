// Package compute is the contract of everything that can give a seat a machine. Its implementations are localcompute (this
// machine) and ec2compute (Amazon EC2); all pass computetest. Packages below internal/app choose.
package compute

import (
	"context"
	"time"

	"greenroom"
)

// Provider makes, lists and removes instances. Everything it makes carries the owner mark it was opened
// with, and it never returns or touches an instance that does not. All methods may be called at once.
type Provider interface {
	// Launch makes one instance per request; all requests are of one meeting and one blueprint, so that a
	// provider may make one call of them. Outcome i answers request i. The token makes it idempotent: for a
	// token seen before it returns the instance of the first call, which may be terminated by now, and launches nothing. Errors wrap
	// greenroom.ErrCapacity, ErrBlocked, ErrThrottled or ErrPermanent where that is known; any other error says nothing
	// about whether the instance exists, and the same token will find out. A launch whose ctx has ended takes no
	// hold afterwards: right before it does, the deadline is compared with the clock, for a process that was
	// stopped goes on before ctx notices.
	Launch(ctx context.Context, requests []Request) []Outcome

	// Places are where machines of the blueprint can be had, the best first, without those that refused a
	// moment ago (ErrCapacity, or ErrBlocked where another place may not) as long as there are others. One of them is saved with a launch and given back in the request. A
	// provider without places has none.
	Places(b greenroom.Blueprint) []string

	// List returns the instances that carry our owner mark, of one meeting or, for "", of all. It may lag
	// behind: absence once is no proof. An instance that died by itself is listed as Terminated, or absent.
	List(ctx context.Context, meeting string) ([]Instance, error)

	// Terminate asks for instances to be removed with everything they own. It is idempotent, knows no error
	// for an id that does not exist, and returns before they are gone; List tells when they are.
	Terminate(ctx context.Context, ids ...string) error
}

// Request asks for one instance.
type Request struct {
	Handle    greenroom.Handle // its Token is the idempotency token
	Blueprint greenroom.Blueprint
	Launch    greenroom.Launch // as it was saved: what the token is good for, and who else is in the call
	StartsAt  time.Time        // of the meeting: who starts first is served first
	KillAt    time.Time        // the machine ends itself then, control plane or not
	UserData  []byte           // JSON of agentapi.UserData: what the agent needs to enrol
}

// QueuedError says that nothing was asked for: the account's pace is used up by those who start earlier.
type QueuedError struct {
	Until time.Time // when to come again; the turn is kept
}

func (e *QueuedError) Error() string { return "queued until " + e.Until.Format(time.RFC3339) }

// Unwrap makes it a greenroom.ErrThrottled.
func (e *QueuedError) Unwrap() error { return greenroom.ErrThrottled }

// Outcome is an instance or an error.
type Outcome struct {
	Instance Instance
	Err      error
}

// Instance is one machine as its provider sees it.
type Instance struct {
	ID         string
	Handle     greenroom.Handle
	State      State
	Address    string // where the desktop answers on port 8443; empty until known
	LaunchedAt time.Time
	End        error // why it is ShuttingDown or Terminated, as far as its provider says: of the kinds that Launch has, with a sentence for people
}

// State of an instance, in EC2's words.
type State string

// The states that matter.
const (
	Pending      State = "pending"
	Running      State = "running"
	ShuttingDown State = "shutting-down"
	Terminated   State = "terminated"
)
