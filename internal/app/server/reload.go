package server

import (
	"context"
	"sync/atomic"

	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/logkey"
)

// tokens are the hashes of organisers' tokens, as they were read last.
type tokens struct{ current atomic.Pointer[[]string] }

func (t *tokens) hashes() []string {
	if list := t.current.Load(); list != nil {
		return *list
	}
	return nil
}

// read takes up the token file; if that cannot be used, what was read before stays.
func (t *tokens) read(cfg config.Config) error {
	list, err := cfg.TokenHashes()
	if err == nil {
		t.current.Store(&list)
	}
	return err
}

// reloadable is what can be read again while the server runs.
type reloadable struct {
	name string
	read func() error
}

func (a *app) reloadables() []reloadable {
	var all []reloadable
	if a.Config.APITokenFile != "" {
		all = append(all, reloadable{"api_token_file", func() error { return a.tokens.read(a.Config) }})
	}
	if a.tls != nil && a.tls.files != nil {
		all = append(all, reloadable{"tls certificate files", a.tls.files.Reload})
	}
	if files, ok := a.core.Certificates.Edge.(interface{ Reload() error }); ok {
		all = append(all, reloadable{"certificate files", files.Reload})
	}
	for _, own := range a.authorities() {
		all = append(all, reloadable{own.name, func() error { return a.keep(own) }})
	}
	return all
}

// reloading reads again what can be, whenever it is asked to (SIGHUP), until ctx ends. What cannot be used leaves what there was.
func (a *app) reloading(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.Hangups:
			a.reload()
		}
	}
}

func (a *app) reload() {
	var read []string
	for _, r := range a.reloadables() {
		if err := r.read(); err != nil {
			a.Logger.Error("not reloaded; what was read before stays in use", logkey.What, r.name, logkey.Err, err)
			continue
		}
		read = append(read, r.name)
	}
	a.Logger.Info("reloaded on SIGHUP; changes of the configuration file need a restart", logkey.What, read)
}

// authority is a local authority that this server keeps valid.
type authority struct {
	name string
	of   interface {
		Keep() (changed bool, err error)
	}
}

func (a *app) authorities() []authority {
	var all []authority
	if local, ok := a.core.Certificates.Issuer.(*localca.Authority); ok {
		all = append(all, authority{"local authority", local})
	}
	if a.tls != nil && a.tls.own != nil {
		all = append(all, authority{"authority of the pages", a.tls.own})
	}
	return all
}
