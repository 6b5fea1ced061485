package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"greenroom/internal/doctor"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
)

func (p *program) park() *cobra.Command {
	var in wire.Park
	cmd := p.one("park", "Stop all actions on one meeting for a while", func(c *client.Client, ctx context.Context, id string) (wire.Meeting, error) {
		return c.Park(ctx, id, in)
	})
	cmd.Long = "greenroom does nothing for a parked meeting: nothing is launched, replaced, removed or ended by a rule. Running\n" +
		"desktops keep running, and participants keep access. It resumes by itself when the time is over, with \"greenroom resume\",\n" +
		"and at once when the meeting is ended or cancelled. Parking again changes the end of parking."
	cmd.Example = "  greenroom park k3v9m2x7c4p8q1r5 --for 30m --reason \"looking at the provider\""
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if d, err := time.ParseDuration(in.For); err != nil || d <= 0 {
			return usagef("--for is a duration such as 30m or 2h, and not %q", in.For)
		}
		return run(cmd, args)
	}
	cmd.Flags().StringVar(&in.For, "for", "1h", "how long, at most 12h")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why, for the timeline")
	return cmd
}

func (p *program) resume() *cobra.Command {
	return p.one("resume", "Resume a parked meeting", (*client.Client).Resume)
}

func (p *program) plan() *cobra.Command {
	return &cobra.Command{Use: "plan ID", Short: "Show what would happen next to a meeting, and why", Args: oneID, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := p.client()
		if err != nil {
			return err
		}
		plan, err := c.Plan(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return p.print(plan, func(w io.Writer) { printPlan(w, plan, time.Now()) })
	}}
}

func printPlan(w io.Writer, plan wire.Plan, now time.Time) {
	if plan.ParkedUntil != nil {
		fmt.Fprintf(w, "Parked until %s%s. Resume it with: greenroom resume %s\n\n", when(*plan.ParkedUntil, now), because(plan.ParkedReason), plan.Meeting)
	}
	for i, s := range plan.Steps {
		if i == 0 {
			fmt.Fprintln(w, "DO\tSEAT\tWHY")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", clean(s.Do), clean(s.Seat), clean(s.Why))
	}
	if len(plan.Steps) == 0 {
		fmt.Fprintln(w, "Nothing is to be done now.")
	}
	fmt.Fprintln(w)
	for i, s := range plan.Seats {
		if i == 0 {
			fmt.Fprintln(w, "SEAT\tDESKTOP\tSINCE\tNEXT, AT THE LATEST\tWHAT")
		}
		since, at := "-", "-"
		if s.Since != nil {
			since = when(*s.Since, now)
		}
		if s.At != nil {
			at = when(*s.At, now)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", clean(s.Seat), spaced(s.Phase), since, at, clean(s.Next))
		if s.Error != nil {
			fmt.Fprintf(w, "\t\t\t\tlast error: %s\n", clean(*s.Error))
		}
	}
	fmt.Fprintln(w)
	if plan.EndAt != nil {
		fmt.Fprintf(w, "End, as it looks now: %s%s\n", when(*plan.EndAt, now), because(plan.EndWhy))
	}
	if plan.WakeAt == nil {
		fmt.Fprintln(w, "Nothing more will happen to this meeting.")
		return
	}
	fmt.Fprintf(w, "Next check: %s%s\n", when(*plan.WakeAt, now), because(plan.Why))
}

// when writes a time near now: with the day if that is another, and how far off it is.
func when(t, now time.Time) string {
	layout := "15:04:05 MST"
	if day := t.Local().Format(time.DateOnly); day != now.Local().Format(time.DateOnly) {
		layout = "Mon 2 Jan 2006 15:04 MST"
	}
	off := t.Sub(now).Round(time.Second)
	switch {
	case off > 0:
		return t.Local().Format(layout) + " (in " + length(off) + ")"
	case off < 0:
		return t.Local().Format(layout) + " (" + length(-off) + " ago)"
	}
	return t.Local().Format(layout) + " (now)"
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + clean(why)
}

// stuckFindings asks the server which meetings do not move.
func stuckFindings(c *client.Client) func(ctx context.Context) ([]doctor.Finding, error) {
	return func(ctx context.Context) ([]doctor.Finding, error) {
		found, err := c.Stuck(ctx)
		if problem, ok := errors.AsType[*httpx.Problem](err); ok && problem.Status == http.StatusUnauthorized {
			return nil, errors.New("the server wants an API token: set GREENROOM_TOKEN or give --token-file")
		}
		if err != nil {
			return nil, errors.New(explain(err))
		}
		var out []doctor.Finding
		for _, s := range found.Stuck {
			out = append(out, stuckFinding(s, time.Now()))
		}
		if found.More {
			out = append(out, doctor.Finding{Check: "meetings", Note: true, Detail: "there are more than are listed here"})
		}
		return out, nil
	}
}

func stuckFinding(s wire.Stuck, now time.Time) doctor.Finding {
	f := doctor.Finding{Check: "meeting " + s.Meeting, Note: s.Note, Detail: fmt.Sprintf("%q", s.Title), Fix: s.Fix}
	if s.Seat != "" {
		f.Detail += ", seat " + s.Seat
	}
	f.Detail += ": " + s.Message
	if s.Since != nil {
		f.Detail += " Since " + when(*s.Since, now) + "."
	}
	if s.Error != nil {
		f.Detail += " Last error: " + *s.Error
	}
	return f
}
