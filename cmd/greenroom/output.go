package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/plaintext"
)

// print writes v as JSON if that is wanted, else what table writes.
func (p *program) print(v any, table func(io.Writer)) error {
	if p.output == "json" {
		e := json.NewEncoder(p.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// moment writes a time in the zone of the one who reads.
func moment(t time.Time) string {
	return t.Local().Format("Mon 2 Jan 2006 15:04 MST")
}

// clean keeps what others have written from steering the terminal or the order of what is beside it.
func clean(s string) string { return plaintext.Clean(s) }

// length writes a duration as people say it: 1h30m.
func length(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// spaced is a word of the API for people: in_use is "in use". Who reads it can find it in the API and in the log.
func spaced[T ~string](word T) string { return strings.ReplaceAll(string(word), "_", " ") }

func stateText(m wire.Meeting) string {
	s := spaced(m.State)
	if m.EndReason != nil {
		s += " (" + spaced(*m.EndReason) + ")"
	}
	if m.ParkedUntil != nil {
		s += ", parked"
	}
	return s
}

// colours of the states. All codes have the same length, so that columns stay aligned.
var colours = map[greenroom.State]string{
	greenroom.Scheduled: "39", greenroom.Preparing: "33", greenroom.AllReady: "32", greenroom.InProgress: "36", greenroom.Waiting: "39", greenroom.Ending: "33", greenroom.Ended: "90",
}

// colour paints text where people look at a terminal.
func (p *program) colour(state greenroom.State, text string) string {
	if !p.terminal() {
		return text
	}
	code := colours[state]
	if code == "" {
		code = "39"
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *program) terminal() bool {
	f, ok := p.stdout.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && p.getenv("NO_COLOR") == "" && p.getenv("TERM") != "dumb"
}

func (p *program) printMeeting(m wire.Meeting) error {
	return p.print(m, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n", clean(m.Title))
		fmt.Fprintf(w, "id\t%s\n", m.ID)
		fmt.Fprintf(w, "state\t%s\n", p.colour(m.State, stateText(m)))
		if m.ParkedUntil != nil {
			fmt.Fprintf(w, "parked\tuntil %s%s\n", when(*m.ParkedUntil, time.Now()), because(m.ParkedReason))
		}
		fmt.Fprintf(w, "starts\t%s\n", moment(m.StartsAt))
		fmt.Fprintf(w, "ends\t%s (%s)\n", moment(m.EndsAt), length(m.EndsAt.Sub(m.StartsAt)))
		fmt.Fprintf(w, "blueprint\t%s\n", clean(m.Blueprint))
		if m.VideoURL != "" {
			fmt.Fprintf(w, "video\t%s\n", clean(m.VideoURL))
		}
		for _, s := range m.Seats {
			printSeat(w, s)
		}
	})
}

func printSeat(w io.Writer, s wire.Seat) {
	fmt.Fprintf(w, "\n%s", clean(s.ID))
	if s.Name != "" {
		fmt.Fprintf(w, ": %s", clean(s.Name))
	}
	fmt.Fprintln(w)
	phase := spaced(s.Desktop.Phase)
	if s.Desktop.EndReason != nil {
		phase += " (" + spaced(*s.Desktop.EndReason) + ")"
	}
	if s.Desktop.Connected {
		phase += ", connected"
	}
	if s.Desktop.AwaySince != nil {
		phase += ", away since " + s.Desktop.AwaySince.Local().Format("15:04")
	}
	fmt.Fprintf(w, "desktop\t%s\n", phase)
	if s.Desktop.InstanceID != "" {
		fmt.Fprintf(w, "instance\t%s\n", clean(s.Desktop.InstanceID))
	}
	if s.Desktop.Hostname != "" {
		fmt.Fprintf(w, "name\t%s\n", strings.TrimSpace(clean(s.Desktop.Hostname+" "+strings.Join(s.Desktop.Addresses, " "))))
	}
	if s.Desktop.Error != nil {
		fmt.Fprintf(w, "trouble\t%s\n", clean(*s.Desktop.Error))
	}
	for _, c := range s.Desktop.Connections {
		fmt.Fprintf(w, "browser\t%s\n", clean(strings.Join(strings.Fields(c.ID+" "+c.Role+" "+c.User+" from "+c.Client+" since "+c.Since.Local().Format("15:04")), " ")))
	}
	if a := s.Desktop.Agent; a != nil {
		printAgent(w, a)
	}
	if s.SessionData != nil {
		fmt.Fprintf(w, "data\t%s\n", clean(s.SessionData.URL))
	}
	fmt.Fprintf(w, "link\t%s\n", clean(s.JoinURL))
}

// printAgent prints what the desktop's agent told.
func printAgent(w io.Writer, a *wire.Agent) {
	words := []string{clean(a.Version)}
	if a.ReportedAt != nil {
		words = append(words, "last report "+a.ReportedAt.Local().Format("15:04"))
	}
	if a.LastActiveAt != nil {
		words = append(words, "last input "+a.LastActiveAt.Local().Format("15:04"))
	}
	if words = slices.DeleteFunc(words, func(s string) bool { return s == "" }); len(words) > 0 {
		fmt.Fprintf(w, "agent\t%s\n", strings.Join(words, ", "))
	}
	if a.Licence != "" {
		fmt.Fprintf(w, "licence\t%s\n", clean(a.Licence))
	}
	if a.Problem != nil {
		fmt.Fprintf(w, "problem\t%s\n", clean(*a.Problem))
	}
}
