package main

import (
	"context"
	"fmt"
	"io"
	"net/mail"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/timezone"
)

const defaultServer = "http://127.0.0.1:8080"

// client makes the client that the flags and the environment ask for.
func (p *program) client() (*client.Client, error) {
	server := p.server
	if server == "" {
		server = p.getenv("GREENROOM_SERVER")
	}
	if server == "" {
		server = defaultServer
	}
	token := p.getenv("GREENROOM_TOKEN")
	if p.tokenFile != "" {
		text, err := os.ReadFile(p.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read token: %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	c, err := client.New(server, token)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	return c, nil
}

func (p *program) schedule() *cobra.Command {
	var in wire.Schedule
	var start, key, file string
	var seats []string
	cmd := &cobra.Command{
		Use:   "schedule --title TITLE",
		Short: "Schedule a meeting and print its links",
		Example: "  greenroom schedule --title Algebra --start now --seat teacher=\"Teacher One\" --seat student=\"Student One\"\n" +
			"  greenroom schedule --title Algebra --start +1h --seat teacher=\"Teacher One\" --seats class.csv\n" +
			"  greenroom schedule --title Review --start +10m --duration 45m",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("title") {
				return usagef("give the meeting a title: greenroom schedule --title TITLE")
			}
			var err error
			if in.StartsAt, err = startTime(start, time.Now()); err != nil {
				return err
			}
			if in.Seats, err = p.wantedSeats(seats, file); err != nil {
				return err
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			m, err := c.Schedule(cmd.Context(), in, key)
			if err != nil {
				return err
			}
			return p.printMeeting(m)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Title, "title", "", "what the meeting is about")
	f.StringVar(&start, "start", "now", "now, +10m, or a time as RFC 3339")
	f.StringVar(&in.Duration, "duration", "1h", "how long it lasts")
	f.StringVar(&in.TimeZone, "time-zone", "", "IANA name, for showing times (default UTC)")
	f.StringVar(&in.Blueprint, "blueprint", "", "how the desktops are made (default \"default\")")
	f.StringArrayVar(&seats, "seat", nil, "a seat as role=\"Name\" or role=\"Name <e-mail>\"; may be repeated, also for one role (default: as many of each role as the blueprint counts)")
	f.StringVar(&file, "seats", "", "file with seats, CSV with the columns role, name and email; - is standard input")
	f.StringVar(&key, "idempotency-key", "", "repeating the command with the same key makes no second meeting")
	return cmd
}

// startTime turns "+10m" into a time and leaves the rest to the server.
func startTime(text string, now time.Time) (string, error) {
	if text == "now" {
		return text, nil
	}
	if after, relative := strings.CutPrefix(text, "+"); relative {
		d, err := time.ParseDuration(after)
		if err != nil || d < 0 {
			return "", usagef("--start is now, +10m, or a time as RFC 3339 such as 2026-12-01T15:00:00Z, and not %q", text)
		}
		return now.Add(d).UTC().Format(time.RFC3339), nil
	}
	if _, err := timezone.ParseTime(text); err != nil {
		return "", usagef("--start is now, +10m, or a time as RFC 3339 such as 2026-12-01T15:00:00Z, and not %q", text)
	}
	return text, nil
}

// parseSeats reads role=Name and role="Name <e-mail>".
func parseSeats(texts []string) ([]wire.SeatInput, error) {
	var out []wire.SeatInput
	for _, text := range texts {
		role, name, ok := strings.Cut(text, "=")
		if !ok || role == "" {
			return nil, usagef("--seat is role=\"Name\", such as teacher=\"Teacher One\", and not %q", text)
		}
		seat := wire.SeatInput{Role: role, Name: name}
		if a, err := mail.ParseAddress(name); err == nil {
			seat.Name, seat.Email = a.Name, a.Address
		}
		out = append(out, seat)
	}
	return out, nil
}

func (p *program) list() *cobra.Command {
	var f client.Filter
	var state string
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List meetings by their start",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.State = greenroom.State(strings.ReplaceAll(state, " ", "_"))
			c, err := p.client()
			if err != nil {
				return err
			}
			page, err := c.List(cmd.Context(), f)
			for err == nil && all && page.NextCursor != nil {
				var next wire.Meetings
				f.Cursor = *page.NextCursor
				next, err = c.List(cmd.Context(), f)
				page.Meetings, page.NextCursor = append(page.Meetings, next.Meetings...), next.NextCursor
			}
			if err != nil {
				return err
			}
			return p.printList(page)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only meetings in this state: scheduled, preparing, ready, in_progress, waiting, ending, ended")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "how many, 1 to 500")
	cmd.Flags().BoolVar(&all, "all", false, "all pages")
	return cmd
}

func (p *program) printList(page wire.Meetings) error {
	if len(page.Meetings) == 0 && p.output == "table" {
		fmt.Fprintln(p.stderr, "No meetings. Make one with: greenroom schedule --title TITLE")
		return nil
	}
	return p.print(page, func(w io.Writer) {
		fmt.Fprintf(w, "ID\tSTARTS\tLENGTH\t%s\tSEATS\tTITLE\n", p.colour("", "STATE"))
		for _, m := range page.Meetings {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", m.ID, moment(m.StartsAt), length(m.EndsAt.Sub(m.StartsAt)), p.colour(m.State, stateText(m)), len(m.Seats), clean(m.Title))
		}
		if page.NextCursor != nil {
			fmt.Fprintln(w, "There are more: greenroom list --all")
		}
	})
}

// one is a command that makes one call about one meeting and prints the meeting.
func (p *program) one(use, short string, call func(*client.Client, context.Context, string) (wire.Meeting, error)) *cobra.Command {
	return &cobra.Command{Use: use + " ID", Short: short, Args: oneID, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := p.client()
		if err != nil {
			return err
		}
		m, err := call(c, cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return p.printMeeting(m)
	}}
}

func (p *program) show() *cobra.Command {
	return p.one("show", "Show a meeting with its desktops and links", (*client.Client).Meeting)
}

func (p *program) end() *cobra.Command {
	return p.one("end", "End a meeting now", (*client.Client).End)
}

func (p *program) cancel() *cobra.Command {
	return p.one("cancel", "Call a meeting off", (*client.Client).Cancel)
}
