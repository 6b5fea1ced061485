package dcvagent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"greenroom/internal/agent/agentapi"
)

// Bounds of one call of DCV's command line.
const (
	commandTime = 10 * time.Second
	maxOutput   = 256 << 10
)

// bounded keeps the beginning of what a program writes. It embeds no buffer, whose ReadFrom would know no bound.
type bounded struct {
	kept bytes.Buffer
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := maxOutput - b.kept.Len()
	b.over = b.over || len(p) > room
	b.kept.Write(p[:min(len(p), room)])
	return len(p), nil
}

// call runs a program in bounded time and returns what it printed.
func call(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	var out, complaint bounded
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), ctx.Err())
	case err != nil:
		said := strings.Join(strings.Fields(complaint.kept.String()+" "+out.kept.String()), " ")
		return nil, fmt.Errorf("%s %s: %w: %.200s", name, strings.Join(args, " "), err, said)
	case out.over:
		return nil, fmt.Errorf("%s %s: it printed more than %d bytes", name, strings.Join(args, " "), maxOutput)
	}
	return out.kept.Bytes(), nil
}

// session is DCV's console session.
type session struct {
	owner     string
	licence   string // its state, "" if the server tells none
	display   string // of the X server, on Linux
	authority string // file with its cookie
}

// describe asks for the session. It is an error that there is none yet.
func (a *agent) describe(ctx context.Context) (session, error) {
	text, err := call(ctx, a.Paths.Command, "describe-session", agentapi.SessionID, "-j")
	if err != nil {
		return session{}, err
	}
	o, err := object(text)
	if err != nil {
		return session{}, fmt.Errorf("read describe-session: %w", err)
	}
	if id := o.text("id"); id != "" && id != agentapi.SessionID {
		return session{}, fmt.Errorf("read describe-session: it describes %q", id)
	}
	s := session{owner: o.text("owner"), display: o.text("x11-display"), authority: o.text("x11-authority")}
	for _, l := range o.list("licenses") {
		state := strings.ToLower(l.text("status")) // written in small or in capitals, by the version
		if s.licence == "" || state != "licensed" {
			s.licence = state
		}
	}
	return s, nil
}

// connections asks who is connected.
func (a *agent) connections(ctx context.Context) ([]agentapi.Connection, error) {
	text, err := call(ctx, a.Paths.Command, "list-connections", agentapi.SessionID, "-j")
	if err != nil {
		return nil, err
	}
	all, err := objects(text)
	if err != nil {
		return nil, fmt.Errorf("read list-connections: %w", err)
	}
	if len(all) > agentapi.MaxConnections {
		all = all[:agentapi.MaxConnections]
	}
	out := make([]agentapi.Connection, 0, len(all))
	for _, o := range all {
		out = append(out, agentapi.Connection{ID: o.text("id"), User: o.text("username"), Client: o.text("client-address"),
			ConnectedAt: o.time("connection-time"), ActiveAt: o.time("last-interaction-time")})
	}
	return out, nil
}

// jsonObject is one object of DCV's output. Versions differ in which fields there are, in how their names are written and
// in whether a number is one or a text: what is not understood is as good as absent.
type jsonObject map[string]any

func object(text []byte) (jsonObject, error) {
	all, err := objects(text)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%d objects where one belongs", len(all))
	}
	return all[0], nil
}

// objects reads an object, or a list of them. A list may be empty; nothing at all is not one.
func objects(text []byte) ([]jsonObject, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case map[string]any:
		return []jsonObject{named(v)}, nil
	case []any:
		return listed(v)
	}
	return nil, errors.New("neither an object nor a list")
}

func listed(items []any) ([]jsonObject, error) {
	out := make([]jsonObject, 0, len(items))
	for _, item := range items {
		o, ok := item.(map[string]any)
		if !ok {
			return nil, errors.New("a list of something else than objects")
		}
		out = append(out, named(o))
	}
	return out, nil
}

// named writes the names of fields in one way: small, with dashes.
func named(o map[string]any) jsonObject {
	out := make(jsonObject, len(o))
	for name, value := range o {
		out[strings.ReplaceAll(strings.ToLower(name), "_", "-")] = value
	}
	return out
}

// maxField bounds a text that is passed on.
const maxField = 128

func (o jsonObject) text(name string) string {
	switch v := o[name].(type) {
	case string:
		return v[:min(len(v), maxField)]
	case json.Number:
		return v.String()[:min(len(v), maxField)]
	}
	return ""
}

func (o jsonObject) time(name string) time.Time {
	t, err := time.Parse(time.RFC3339, o.text(name)) // with or without a fraction
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func (o jsonObject) list(name string) []jsonObject {
	items, _ := o[name].([]any)
	out, err := listed(items)
	if err != nil {
		return nil
	}
	return out
}
