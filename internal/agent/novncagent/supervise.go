package novncagent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/link"
	"greenroom/internal/backoff"
	"greenroom/internal/logkey"
)

// How programs that end are started again.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second // between two starts
	steadyTime   = time.Minute      // a program that ran so long was well
	toldAfter    = 3                // starts in a row that did not last are a problem that people are told of
	lookEvery    = 5 * time.Second  // whether the screen answers
)

// supervise starts the window manager and the applications again when they fail, and looks whether the screen answers, until ctx ends.
func (s *screen) supervise(ctx context.Context) {
	told := &problems{report: s.report, now: map[string]string{}}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		s.keep(ctx, s.manager, told, func(*child) bool { return true }, func() (*child, error) {
			starting, cancel := context.WithTimeout(ctx, startTime)
			defer cancel()
			err := s.startManager(starting)
			return s.manager, err
		})
	})
	for _, app := range s.apps {
		wg.Go(func() {
			// One that ends well was closed by the participant, or left its window to another process.
			s.keep(ctx, app, told, func(c *child) bool { return c.err != nil }, func() (*child, error) { return s.startApplication(app.name) })
		})
	}
	s.watchScreen(ctx, told)
}

// keep starts a program again as often as it fails, after pauses that double while it does not last.
func (s *screen) keep(ctx context.Context, c *child, told *problems, failed func(*child) bool, start func() (*child, error)) {
	name, short := c.name, 0 // starts in a row that did not last
	for pause := backoff.Every(firstPause, longestPause); ; {
		lasted := c.lasts(ctx, steadyTime, func() { told.set(name, "") })
		if ctx.Err() != nil || !failed(c) {
			told.set(name, "")
			return
		}
		if lasted {
			short = 0
			pause.Reset()
		}
		s.logger.Warn("program ended and is started again", logkey.Program, name, logkey.Err, c.err)
		if short++; short >= toldAfter {
			told.set(name, program(name)+" ends again and again, and is started again each time.")
		}
		for next := (*child)(nil); next == nil; c = next {
			if !pause.Wait(ctx) {
				return
			}
			var err error
			if next, err = start(); err != nil {
				s.logger.Warn("program cannot be started", logkey.Program, name, logkey.Err, err)
				next = nil
			}
		}
	}
}

// lasts waits for the program's end, or ctx's, and reports whether it lived for steady, which it tells then.
func (c *child) lasts(ctx context.Context, steady time.Duration, tell func()) bool {
	timer := time.NewTimer(steady)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-c.done:
		return false
	case <-timer.C:
	}
	tell()
	select {
	case <-ctx.Done():
	case <-c.done:
	}
	return true
}

// watchScreen tells when the screen no longer answers, and when it does again. That it has ended is seen elsewhere.
func (s *screen) watchScreen(ctx context.Context, told *problems) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if answers(ctx) == nil {
			failed = 0
			told.set("screen", "")
		} else if failed++; failed >= 2 && ctx.Err() == nil {
			told.set("screen", "The screen does not answer.")
		}
	}
}

// problems are what is wrong with the desktop's programs now. The report tells of all of them in one sentence each.
type problems struct {
	report *link.Watched[agentapi.Report]
	mu     sync.Mutex
	now    map[string]string
}

// set notes what is wrong with a program; empty is nothing.
func (p *problems) set(name, sentence string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now[name] == sentence {
		return
	}
	p.now[name] = sentence
	if sentence == "" {
		delete(p.now, name)
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(p.now)) {
		all = append(all, p.now[k])
	}
	p.report.Update(func(r *agentapi.Report) { r.Problem = strings.Join(all, " ") })
}

// program names a command line for people.
func program(line string) string {
	if line == "openbox" {
		return "The window manager"
	}
	return fmt.Sprintf("The application %q", line)
}
