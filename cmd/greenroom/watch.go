package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
)

// giveUp is how long a server may be away while it is watched: a restart is no reason to stop watching.
const giveUp = time.Minute

func (p *program) watch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a meeting until nothing of it remains",
		Args:  oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			err = c.Watch(cmd.Context(), args[0], p.watcher(), giveUp)
			if errors.Is(err, context.Canceled) {
				return nil // whoever looked has seen enough
			}
			return err
		},
	}
}

// watcher prints what happens: a line for each, JSON or for people.
func (p *program) watcher() client.Watcher {
	if p.output == "json" {
		e := json.NewEncoder(p.stdout)
		e.SetEscapeHTML(false)
		line := func(kind string, v any) error { return e.Encode(map[string]any{kind: v}) }
		return client.Watcher{
			Meeting: func(m wire.Meeting) error { return line("meeting", m) },
			Event:   func(ev wire.Event) error { return line("timeline", ev) },
		}
	}
	var last greenroom.State
	return client.Watcher{
		Meeting: func(m wire.Meeting) error {
			if m.State == last {
				return nil
			}
			first := last == ""
			last = m.State
			if first {
				fmt.Fprintf(p.stdout, "%s, %s\n", clean(m.Title), moment(m.StartsAt))
			}
			_, err := fmt.Fprintf(p.stdout, "%s  %s\n", time.Now().Format("15:04:05"), p.colour(m.State, "Now: "+stateText(m)))
			return err
		},
		Event: func(e wire.Event) error {
			seat := clean(e.Seat)
			if seat != "" {
				seat += ": "
			}
			_, err := fmt.Fprintf(p.stdout, "%s  %s%s\n", e.At.Local().Format("15:04:05"), seat, clean(e.Message))
			return err
		},
	}
}
