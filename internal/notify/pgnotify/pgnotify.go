// Package pgnotify tells replicas on one PostgreSQL database of each other's saves, with LISTEN and NOTIFY. What it
// tells is a hint: what is lost, in a full buffer or with a connection, costs others the time until they look by
// themselves. Hints therefore leave after the commit, on a connection of their own: within it they would make all
// commits of the database wait for each other.
package pgnotify

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"greenroom"
	"greenroom/internal/logkey"
)

const (
	channel    = "greenroom"
	maxPayload = 7900   // bytes; PostgreSQL takes less than 8000
	maxPending = 20_000 // hints that wait for a connection
	reconnect  = time.Second
	timeout    = 10 * time.Second // of one statement, and of connecting
	listenFor  = 15 * time.Second // then the connection is tried: a dead peer sends nothing
)

// Hint says that a meeting was saved with a revision. The zero Hint says that names of the zone have changed.
type Hint struct {
	Meeting string
	Rev     int64
}

// Options are what a Channel is made of.
type Options struct {
	Dial   func(ctx context.Context) (*pgx.Conn, error) // to the database
	Hear   func(Hint)                                   // another replica's; must be quick
	Missed func()                                       // hints may have been missed: look at everything again
	Logger *slog.Logger
}

// Channel is one replica's end. Make one with New.
type Channel struct {
	Options
	self string // so as not to hear oneself

	mu      sync.Mutex
	pending map[string]int64 // the highest revision by meeting; "" for the zone
	some    chan struct{}    // holds a token when pending is not empty
}

// New returns a Channel; Run lets it work.
func New(o Options) *Channel {
	return &Channel{Options: o, self: greenroom.NewMeetingID(), pending: map[string]int64{}, some: make(chan struct{}, 1)}
}

// Tell lets the others know. It never blocks.
func (f *Channel) Tell(h Hint) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.pending[h.Meeting]; !ok && len(f.pending) >= maxPending {
		return
	}
	f.pending[h.Meeting] = max(f.pending[h.Meeting], h.Rev)
	select {
	case f.some <- struct{}{}:
	default:
	}
}

// Run tells and hears until ctx ends, over connections that it makes again when they break.
func (f *Channel) Run(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() { f.keep(ctx, "notifications not sent", f.tell) })
	both.Go(func() { f.keep(ctx, "notifications not received", f.hear) })
	both.Wait()
	return nil
}

// keep runs f on a connection, and again on a new one, until ctx ends.
func (f *Channel) keep(ctx context.Context, failed string, use func(ctx context.Context, conn *pgx.Conn) error) {
	for ctx.Err() == nil {
		err := f.connected(ctx, use)
		if ctx.Err() != nil {
			return
		}
		f.Logger.Warn(failed, logkey.Err, err) //nolint:sloglint // one of two messages
		select {
		case <-ctx.Done():
		case <-time.After(reconnect):
		}
	}
}

func (f *Channel) connected(ctx context.Context, use func(ctx context.Context, conn *pgx.Conn) error) error {
	dial, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := f.Dial(dial)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye)
	}()
	return use(ctx, conn)
}

func (f *Channel) tell(ctx context.Context, conn *pgx.Conn) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.some:
		}
		for _, payload := range f.payloads() {
			if err := f.notify(ctx, conn, payload); err != nil {
				return err
			}
		}
	}
}

func (f *Channel) notify(ctx context.Context, conn *pgx.Conn, payload string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := conn.Exec(ctx, "select pg_notify($1, $2)", channel, payload)
	return err
}

// payloads takes what is pending: this replica's name, and then meeting:revision each.
func (f *Channel) payloads() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	b := strings.Builder{}
	b.WriteString(f.self)
	for meeting, rev := range f.pending {
		item := " " + meeting + ":" + strconv.FormatInt(rev, 10)
		if b.Len()+len(item) > maxPayload {
			out = append(out, b.String())
			b.Reset()
			b.WriteString(f.self)
		}
		b.WriteString(item)
	}
	clear(f.pending)
	return append(out, b.String())
}

func (f *Channel) hear(ctx context.Context, conn *pgx.Conn) error {
	start, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := conn.Exec(start, "listen "+channel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	f.Missed()
	for {
		wait, cancel := context.WithTimeout(ctx, listenFor)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case wait.Err() != nil && err != nil: // silence: is anybody there?
			if err := f.alive(ctx, conn); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("wait for a notification: %w", err)
		default:
			f.heard(n.Payload)
		}
	}
}

// alive asks the server for a sign of life.
func (f *Channel) alive(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return conn.Ping(ctx)
}

// heard takes a payload apart. Whoever can connect can notify: what is no hint of ours is left alone.
func (f *Channel) heard(payload string) {
	words := strings.Fields(payload)
	if len(words) == 0 || words[0] == f.self {
		return
	}
	for _, word := range words[1:] {
		meeting, text, ok := strings.Cut(word, ":")
		rev, err := strconv.ParseInt(text, 10, 64)
		if ok && err == nil {
			f.Hear(Hint{Meeting: meeting, Rev: rev})
		}
	}
}
