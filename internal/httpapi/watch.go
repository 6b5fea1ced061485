package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"greenroom"
	"greenroom/internal/httpx"
	"greenroom/internal/logkey"
	"greenroom/internal/sse"
)

// Times of a stream.
const (
	heartbeat    = 15 * time.Second // keeps the connection alive, and looks again in case a hint was lost
	reconnect    = 2 * time.Second  // what clients are told to wait before they connect again
	askAgain     = 5 * time.Second  // the same, where no stream is held
	eventsAtOnce = 200              // timeline entries read at a time
)

type watchInput struct {
	ID    string `path:"id" doc:"Of the meeting."`
	After int64  `query:"after" minimum:"0" doc:"Only timeline entries with a higher seq."`
	Last  string `header:"Last-Event-ID" doc:"Resumes after this seq."`
}

func (a *api) watchRoute(h huma.API, op huma.Operation) {
	op.Responses = map[string]*huma.Response{
		"200": {Description: "The stream.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}},
		"204": {Description: "The meeting is over and Last-Event-ID was the last entry: do not connect again."},
	}
	huma.Register(h, op, func(_ context.Context, in *watchInput) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			if err := a.watch(w, r, in); err != nil {
				a.problem(r, err).Write(w)
			}
		}}, nil
	})
}

// watch streams until the meeting is closed, the client goes, or the server stops. Without a hub it sends what is new
// and ends: clients come back by themselves and say what they have. An error means that nothing was sent yet.
func (a *api) watch(w http.ResponseWriter, r *http.Request, in *watchInput) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	place := a.watchers.Enter(httpx.ClientNetwork(r), cancel) // clients of a stream that made way connect again
	defer place.Leave()
	var hints <-chan struct{}
	if a.hub != nil {
		hints = a.hub.Subscribe(ctx, in.ID) // before the first look: what changes after it is hinted at
	}
	s := &stream{api: a, w: w, client: httpx.ClientKey(r), meeting: in.ID, seq: in.After}
	if last, err := strconv.ParseInt(in.Last, 10, 64); err == nil {
		s.seq, s.resumed = last, true
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		looked := time.Now()
		over, err := s.look(ctx)
		switch {
		case err != nil && s.out == nil:
			return err
		case err != nil:
			if ctx.Err() == nil && !errors.Is(err, sse.ErrGone) {
				a.log.ErrorContext(ctx, "watch ended", logkey.Meeting, in.ID, logkey.Err, err)
			}
			return nil
		case over, a.hub == nil:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-hints:
			if !open || !a.settled(ctx, looked) {
				return nil
			}
		case <-beat.C:
			if s.out.Beat() != nil {
				return nil
			}
		}
	}
}

// settled waits until a stream may look again, and reports whether ctx has not ended. The more streams there are, the more changes are one
// look: together they look about a thousand times a second at most.
func (a *api) settled(ctx context.Context, looked time.Time) bool {
	t := time.NewTimer(time.Until(looked.Add(time.Duration(a.watchers.Stats().Open) * time.Millisecond)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// stream is what one client has seen of a meeting.
type stream struct {
	api     *api
	w       http.ResponseWriter
	out     *sse.Stream // nil before it is started
	client  string
	meeting string
	rev     int64 // of the meeting as last sent
	seq     int64 // of the last timeline entry sent
	resumed bool
}

// read reads what may be new. A change makes every stream read: clients take turns, or those with many streams would delay all others.
func (s *stream) read(ctx context.Context) (greenroom.Meeting, []greenroom.Event, error) {
	done, err := s.api.looks.Take(ctx, s.client)
	if err != nil {
		return greenroom.Meeting{}, nil, err
	}
	defer done()
	m, err := s.api.service.Meeting(ctx, s.meeting)
	if err != nil {
		return m, nil, err
	}
	found, err := s.api.service.Events(ctx, s.meeting, s.seq, eventsAtOnce)
	return m, found, err
}

// look sends what is new and reports whether there will be nothing more.
func (s *stream) look(ctx context.Context) (bool, error) {
	m, found, err := s.read(ctx)
	if err != nil {
		return false, err
	}
	if s.out == nil {
		if s.resumed && m.Closed && len(found) == 0 {
			s.w.WriteHeader(http.StatusNoContent)
			return true, nil
		}
		if err := s.start(); err != nil {
			return false, err
		}
	}
	if s.rev == 0 { // first what it is about, and from then on each story before its outcome
		if err := s.sendMeeting(m); err != nil {
			return false, err
		}
	}
	for len(found) > 0 {
		for _, e := range found {
			s.seq = e.Seq
			if err := s.out.Send(sse.Event{Kind: "timeline", ID: strconv.FormatInt(e.Seq, 10), Data: event(e)}); err != nil {
				return false, err
			}
		}
		if found, err = s.api.service.Events(ctx, s.meeting, s.seq, eventsAtOnce); err != nil {
			return false, err
		}
	}
	return m.Closed, s.sendMeeting(m)
}

// sendMeeting sends what was not sent already.
func (s *stream) sendMeeting(m greenroom.Meeting) error {
	if m.Rev == s.rev {
		return nil
	}
	s.rev = m.Rev
	return s.out.Send(sse.Event{Kind: "meeting", Data: s.api.meeting(m)})
}

func (s *stream) start() (err error) {
	again := reconnect
	if s.api.hub == nil {
		again = askAgain
	}
	s.out, err = sse.Start(s.w, again)
	return err
}
