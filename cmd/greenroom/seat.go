package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/roster"
)

// wantedSeats joins the seats of flags with those of a file.
func (p *program) wantedSeats(flags []string, file string) ([]wire.SeatInput, error) {
	out, err := parseSeats(flags)
	if err != nil || file == "" {
		return out, err
	}
	in := p.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read seats: %w", err)
		}
		defer f.Close()
		in = f
	}
	people, err := roster.ReadCSV(in)
	if err != nil {
		return nil, fmt.Errorf("the seats in %s cannot be read: %w", file, err)
	}
	for _, one := range people {
		out = append(out, wire.SeatInput{Role: one.Role, Name: one.Name, Email: one.Email})
	}
	return out, nil
}

func (p *program) seat() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seat",
		Short: "Add, change and remove seats, replace links and desktops",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.seatAdd(), p.seatEdit(), p.seatRemove(), p.seatReplace(), p.seatLink(), p.seatDisconnect())
	return cmd
}

func (p *program) seatAdd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "add ID ROLE=NAME…",
		Short: "Add seats to a meeting, also while it runs",
		Example: "  greenroom seat add k3v9m2x7c4p8q1r5 student=\"Student Two\" \"student=Student Three <three@example.com>\"\n" +
			"  greenroom seat add k3v9m2x7c4p8q1r5 --seats more.csv",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("give one meeting and its new seats: greenroom seat add ID ROLE=NAME")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted, err := p.wantedSeats(args[1:], file)
			if err != nil {
				return err
			}
			if len(wanted) == 0 {
				return usagef("say who gets a seat, as ROLE=NAME or with --seats FILE.csv")
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			m, err := c.AddSeats(cmd.Context(), args[0], wanted, 0)
			if err != nil {
				return err
			}
			return p.print(m, func(w io.Writer) {
				for _, s := range m.Seats {
					if slices.Contains(m.Added, s.ID) {
						printSeat(w, s)
					}
				}
			})
		},
	}
	cmd.Flags().StringVar(&file, "seats", "", "file with seats, CSV with the columns role, name and email; - is standard input")
	return cmd
}

// oneSeat takes the ids of a meeting and of its seat.
func oneSeat(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return usagef("give one meeting and one seat: greenroom seat %s ID SEAT; \"greenroom show ID\" lists the seats", cmd.Name())
	}
	return nil
}

// aboutSeat is a command that makes one call about a seat and prints the seat, if it is still there.
func (p *program) aboutSeat(use, short string, call func(c *client.Client, ctx context.Context, id, seat string) (wire.Meeting, error)) *cobra.Command {
	return &cobra.Command{Use: use + " ID SEAT", Short: short, Args: oneSeat, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := p.client()
		if err != nil {
			return err
		}
		m, err := call(c, cmd.Context(), args[0], args[1])
		if err != nil {
			return err
		}
		return p.print(m, func(w io.Writer) {
			for _, s := range m.Seats {
				if s.ID == args[1] {
					printSeat(w, s)
					return
				}
			}
			fmt.Fprintf(w, "The seat %s is no longer one of the meeting's; its desktop is removed.\n", clean(args[1]))
		})
	}}
}

func (p *program) seatEdit() *cobra.Command {
	var name, email string
	var given wire.SeatEdit
	cmd := p.aboutSeat("edit", "Give a seat's participant another name or address", func(c *client.Client, ctx context.Context, id, seat string) (wire.Meeting, error) {
		return c.EditSeat(ctx, id, seat, given, 0)
	})
	cmd.Flags().StringVar(&name, "name", "", "of the participant; empty for none")
	cmd.Flags().StringVar(&email, "email", "", "address of the participant; empty for none")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("name") {
			given.Name = &name
		}
		if cmd.Flags().Changed("email") {
			given.Email = &email
		}
		if given == (wire.SeatEdit{}) {
			return usagef("say what to change: --name NAME or --email ADDRESS")
		}
		return run(cmd, args)
	}
	return cmd
}

func (p *program) seatRemove() *cobra.Command {
	var force bool
	cmd := p.aboutSeat("remove", "Take a seat off a meeting; its desktop is removed", func(c *client.Client, ctx context.Context, id, seat string) (wire.Meeting, error) {
		return c.RemoveSeat(ctx, id, seat, force)
	})
	cmd.Flags().BoolVar(&force, "force", false, "also when the participant is connected: they are cut off")
	return cmd
}

func (p *program) seatReplace() *cobra.Command {
	var in wire.Replace
	cmd := p.aboutSeat("replace", "Give a seat a new desktop", func(c *client.Client, ctx context.Context, id, seat string) (wire.Meeting, error) {
		return c.ReplaceDesktop(ctx, id, seat, in)
	})
	cmd.Example = "  greenroom seat replace k3v9m2x7c4p8q1r5 student-2 --reason \"the screen is frozen\""
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why, for the timeline")
	cmd.Flags().BoolVar(&in.Force, "force", false, "also when the participant is connected: they are cut off")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(in.Reason) == "" {
			return usagef("say why the desktop is replaced: --reason REASON")
		}
		return run(cmd, args)
	}
	return cmd
}

func (p *program) seatLink() *cobra.Command {
	keep := false
	cmd := p.aboutSeat("link", "Give a seat a new link; the old one stops working at once", func(c *client.Client, ctx context.Context, id, seat string) (wire.Meeting, error) {
		in := wire.NewLink{}
		if keep {
			in.Connections = "keep"
		}
		return c.ReissueKey(ctx, id, seat, in)
	})
	cmd.Long = "Whoever came in by the old link is cut off, unless --keep is given."
	cmd.Flags().BoolVar(&keep, "keep", false, "let those stay who are inside")
	return cmd
}

func (p *program) seatDisconnect() *cobra.Command {
	connection := ""
	cmd := p.aboutSeat("disconnect", "Disconnect a browser from a seat's desktop", func(c *client.Client, ctx context.Context, id, seat string) (wire.Meeting, error) {
		return c.Disconnect(ctx, id, seat, connection)
	})
	cmd.Use = "disconnect ID SEAT CONNECTION"
	run := cmd.RunE
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 3 {
			return usagef("give one meeting, one seat and one connection: greenroom seat disconnect ID SEAT CONNECTION; \"greenroom show ID\" lists the connections")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		connection = args[2]
		return run(cmd, args)
	}
	return cmd
}

func (p *program) edit() *cobra.Command {
	var title, start, duration, zone string
	cmd := &cobra.Command{
		Use:     "edit ID",
		Short:   "Change a meeting's title, time or time zone",
		Long:    "Links and ids stay. A new start moves the end along, unless --duration is given, too.",
		Example: "  greenroom edit k3v9m2x7c4p8q1r5 --start 2026-12-01T16:00:00Z --title \"Algebra, moved\"",
		Args:    oneID,
	}
	f := cmd.Flags()
	f.StringVar(&title, "title", "", "what the meeting is about")
	f.StringVar(&start, "start", "", "now, +10m, or a time as RFC 3339")
	f.StringVar(&duration, "duration", "", "how long the whole meeting lasts")
	f.StringVar(&zone, "time-zone", "", "IANA name, for showing times")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var in wire.Edit
		for _, set := range []struct {
			flag string
			from *string
			to   **string
		}{{"title", &title, &in.Title}, {"start", &start, &in.StartsAt}, {"duration", &duration, &in.Duration}, {"time-zone", &zone, &in.TimeZone}} {
			if f.Changed(set.flag) {
				*set.to = set.from
			}
		}
		if in.Title == nil && in.StartsAt == nil && in.Duration == nil && in.TimeZone == nil {
			return usagef("say what to change: --title, --start, --duration or --time-zone")
		}
		if in.StartsAt != nil {
			at, err := startTime(start, time.Now())
			if err != nil {
				return err
			}
			in.StartsAt = &at
		}
		return p.change(cmd, func(c *client.Client, ctx context.Context) (wire.Meeting, error) { return c.Edit(ctx, args[0], in, 0) })
	}
	return cmd
}

// change makes one call and prints the meeting.
func (p *program) change(cmd *cobra.Command, call func(*client.Client, context.Context) (wire.Meeting, error)) error {
	c, err := p.client()
	if err != nil {
		return err
	}
	m, err := call(c, cmd.Context())
	if err != nil {
		return err
	}
	return p.printMeeting(m)
}

func (p *program) extend() *cobra.Command {
	return &cobra.Command{
		Use:     "extend ID DURATION",
		Short:   "Move a meeting's end",
		Example: "  greenroom extend k3v9m2x7c4p8q1r5 15m",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("give one meeting and how much longer it lasts: greenroom extend ID 15m")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			by, err := time.ParseDuration(args[1])
			if err != nil || by <= 0 {
				return usagef("the extension is a duration such as 15m or 1h, and not %q", args[1])
			}
			return p.change(cmd, func(c *client.Client, ctx context.Context) (wire.Meeting, error) {
				m, err := c.Meeting(ctx, args[0])
				if err != nil {
					return m, err
				}
				if m.EndReason != nil {
					return m, &greenroom.UserError{Message: "The meeting is over and can no longer be extended; schedule a new one.", Cause: greenroom.ErrEnded}
				}
				end := m.EndsAt.Add(by).Format(time.RFC3339)
				return c.Edit(ctx, args[0], wire.Edit{EndsAt: &end}, m.Version) // of that version: two extensions at once are not one
			})
		},
	}
}
