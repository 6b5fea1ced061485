package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/logkey"
	"greenroom/internal/notify/pgnotify"
	"greenroom/internal/store/sqlstore"
)

// reloadEvery is how old the names of a zone that others write, too, may get if every hint is lost.
const reloadEvery = 10 * time.Second

// replicas is what a server does because it may not be the only one on its database. A nil *replicas is alone.
type replicas struct {
	*app
	channel *pgnotify.Channel
	names   chan struct{} // holds a token when others have changed names
}

// openReplicas returns nil for a database that one process owns.
func (a *app) openReplicas() {
	if a.Config.Database == "" {
		return
	}
	r := &replicas{app: a, names: make(chan struct{}, 1)}
	r.channel = pgnotify.New(pgnotify.Options{Dial: sqlstore.Dialer(a.Config.Database.Reveal()), Hear: r.hear, Missed: r.missed, Logger: a.Logger})
	a.replicas = r
}

// saved tells the others of a commit.
func (r *replicas) saved(m greenroom.Meeting) {
	if r != nil {
		r.channel.Tell(pgnotify.Hint{Meeting: m.ID, Rev: m.Rev})
	}
}

// named tells the others that names have changed.
func (r *replicas) named() {
	if r != nil {
		r.channel.Tell(pgnotify.Hint{})
	}
}

func (r *replicas) hear(h pgnotify.Hint) {
	if h.Meeting == "" {
		r.reload()
		return
	}
	r.scheduler.HandedOver(h.Meeting, h.Rev)
	r.hub.Publish(h.Meeting)
}

func (r *replicas) missed() {
	r.hub.PublishAll()
	r.reload()
}

func (r *replicas) reload() {
	select {
	case r.names <- struct{}{}:
	default:
	}
}

// reloadNames keeps the zone as the others have made it, until ctx ends.
func (r *replicas) reloadNames(ctx context.Context) error {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.names:
		}
		if err := r.zone.Reload(ctx); err != nil && ctx.Err() == nil {
			r.Logger.Warn("names of the zone could not be read again", logkey.Err, err)
		}
	}
}

// sameDataDir refuses a data directory that is not the one of the other replicas: the local authority and the local
// desktops are in it, and a replica that does not see them would take the desktops for lost.
func (a *app) sameDataDir(ctx context.Context) error {
	if a.replicas == nil {
		return nil
	}
	mine, err := nameOfDir(a.Config.DataDir)
	if err != nil {
		return fmt.Errorf("name the data directory: %w", err)
	}
	theirs, err := a.store.Setting(ctx, "data_dir", mine)
	if err != nil {
		return fmt.Errorf("read the data directory's name: %w", err)
	}
	if mine != theirs {
		return &greenroom.UserError{Message: fmt.Sprintf("The data directory %s is not the one that this database's other replicas use: local desktops and the local "+
			"authority live in it, so that all replicas must run on one machine with one --data-dir. If the other one is lost for good, run \"delete from settings where name = 'data_dir'\" in the database, and start again.", a.Config.DataDir)}
	}
	return nil
}

// nameOfDir is what a directory is recognised by: random text in a file, made by whoever comes first.
func nameOfDir(dir string) (string, error) {
	path := filepath.Join(dir, "id")
	fresh, err := os.CreateTemp(dir, "id-")
	if err != nil {
		return "", err
	}
	defer os.Remove(fresh.Name())
	_, err = fresh.WriteString(greenroom.NewMeetingID() + "\n")
	if err = errors.Join(err, fresh.Close()); err != nil {
		return "", err
	}
	if err := os.Link(fresh.Name(), path); err != nil && !errors.Is(err, os.ErrExist) { // whole or not at all
		return "", err
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}
