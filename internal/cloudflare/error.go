package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what an answer may ask for and say.
const (
	mostRetryAfter = time.Hour
	mostFaults     = 8
	mostMessage    = 300 // bytes
)

// Fault is one error of an answer. Cloudflare documents few of its codes.
type Fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error is a call that Cloudflare refused or could not do.
type Error struct {
	Status     int // of HTTP
	Faults     []Fault
	RetryAfter time.Duration // nothing is answered before,
	Said       bool          // if the answer says so
}

func (e *Error) Error() string {
	return fmt.Sprintf("Cloudflare answers %d %s", e.Status, e.Words())
}

// Words are Cloudflare's own, with the codes; without any they are those of the status.
func (e *Error) Words() string {
	var parts []string
	for _, one := range e.Faults {
		parts = append(parts, fmt.Sprintf("%s (%d)", one.Message, one.Code))
	}
	if len(parts) == 0 {
		return http.StatusText(e.Status)
	}
	return strings.Join(parts, ", ")
}

// Has reports whether one of the faults has one of the codes.
func (e *Error) Has(codes ...int) bool {
	return slices.ContainsFunc(e.Faults, func(f Fault) bool { return slices.Contains(codes, f.Code) })
}

func refusal(answer *http.Response, faults []Fault) *Error {
	e := &Error{Status: answer.StatusCode, Faults: faults[:min(len(faults), mostFaults)]}
	for i := range e.Faults {
		e.Faults[i].Message = strings.ToValidUTF8(e.Faults[i].Message[:min(len(e.Faults[i].Message), mostMessage)], "")
	}
	e.RetryAfter, e.Said = RetryAfter(answer.Header)
	return e
}

// RetryAfter is how long an answer asks to be left alone, an hour at most; false if it does not say.
func RetryAfter(h http.Header) (time.Duration, bool) {
	v := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, mostRetryAfter), true
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(time.Until(at), 0), mostRetryAfter), true
	}
	return 0, false
}

// pause reports whether the call that failed with err may be made again, and waits as long as that takes. What was refused for
// its rate was not done; of what failed in Cloudflare that is not known, so only calls that do no harm twice are repeated.
func pause(ctx context.Context, method string, err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	wait := e.RetryAfter
	switch {
	case e.Status == http.StatusTooManyRequests && e.Said: // without a time the block lasts minutes
	case e.Status >= 500 && (method == http.MethodGet || method == http.MethodDelete):
		if !e.Said {
			wait = pauseUnsaid
		}
	default:
		return false
	}
	if deadline, ok := ctx.Deadline(); wait > pauseMost || ok && time.Until(deadline) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
