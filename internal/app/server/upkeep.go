package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"time"

	"greenroom/internal/app/components"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/logkey"
)

const (
	upkeepEvery = time.Minute
	warnEvery   = 24 * time.Hour
)

// upkeep looks from time to time at what holds only for a time, until ctx ends.
func (a *app) upkeep(ctx context.Context) error {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	u := upkeep{app: a, warned: map[string]time.Time{}, faults: map[string]string{}}
	for {
		u.look(time.Now().Round(0))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// upkeep is what was said already.
type upkeep struct {
	*app
	warned   map[string]time.Time // of a certificate
	faults   map[string]string    // of an authority
	replaced bool                 // the program's file
}

func (u *upkeep) look(now time.Time) {
	for _, own := range u.authorities() {
		err := u.keep(own)
		said := ""
		if err != nil {
			said = err.Error()
		}
		if said != "" && said != u.faults[own.name] {
			u.Logger.Error("authority could not be kept valid; the certificate before stays in use", logkey.Authority, own.name, logkey.Err, err)
		}
		u.faults[own.name] = said
	}
	for name, cert := range u.certificates() {
		u.judge(name, cert, now)
	}
	if !u.replaced && replaced(u.Program, u.Executable) {
		u.replaced = true
		u.Logger.Warn("the program's file was replaced; desktops are started with the version that runs until the server is restarted", logkey.File, u.Program, logkey.Version, u.Version)
	}
}

// keep renews the authority if it has to be.
func (a *app) keep(own authority) error {
	changed, err := own.of.Keep()
	if changed {
		a.Logger.Warn("authority has a new certificate; browsers that trust the one before do so until that ends: run greenroom trust on their machines, or give them /ca.pem again", logkey.Authority, own.name)
	}
	return err
}

// Part of a certificate's life, and time, in which it should have been renewed already; whichever is less.
const (
	lastPart = 4
	lastTime = 30 * 24 * time.Hour
)

// judge exports when the certificate ends, and warns once a day of one that was not renewed.
func (u *upkeep) judge(name string, cert *x509.Certificate, now time.Time) {
	u.watch.metrics.CertificateEnds(name, cert.NotAfter)
	late := min(cert.NotAfter.Sub(cert.NotBefore)/lastPart, lastTime)
	if cert.IsCA {
		late = localca.RenewLeft
	}
	left, say, again := cert.NotAfter.Sub(now), u.Logger.Warn, warnEvery
	if left <= 0 || now.Before(cert.NotBefore) {
		say, again = u.Logger.Error, time.Hour
	} else if left >= late {
		delete(u.warned, name)
		return
	}
	if last, said := u.warned[name]; said && now.Sub(last) < again {
		return
	}
	u.warned[name] = now
	say("certificate is not valid, or ends soon and was not renewed", "certificate", name, "from", cert.NotBefore.UTC(), "until", cert.NotAfter.UTC())
}

// certificates are those that this server shows or signs with, by name.
func (a *app) certificates() map[string]*x509.Certificate {
	all := map[string]*x509.Certificate{}
	add := func(name string, cert *tls.Certificate, err error) {
		if err == nil && cert != nil && cert.Leaf != nil {
			all[name] = cert.Leaf
		}
	}
	if local, ok := a.core.Certificates.Issuer.(*localca.Authority); ok {
		all["authority"] = local.Root()
	}
	switch {
	case a.keeper != nil:
		cert, err := a.keeper.Certificate(nil)
		add("edge", cert, err)
	case a.core.Certificates.Edge != nil && a.Config.Certificates.Issuer == config.IssuerACME:
		if leaf, err := acmecerts.EdgeLeaf(components.ACME(a.Config, nil), "*."+a.Config.Zone); err == nil {
			all["edge"] = leaf
		}
	case a.core.Certificates.Edge != nil:
		cert, err := a.core.Certificates.Edge.GetCertificate(nil)
		add("edge", cert, err)
	}
	if a.tls == nil {
		return all
	}
	switch {
	case a.tls.own != nil:
		all["pages_authority"] = a.tls.own.Root()
		cert, err := a.tls.get(nil)
		add("pages", cert, err)
	case a.tls.files != nil:
		cert, err := a.tls.get(nil)
		add("pages", cert, err)
	}
	return all
}

// replaced reports whether another file, or none, is now where the running program was started from.
func replaced(program, running string) bool {
	if program == "" {
		return false
	}
	now, err := os.Stat(program)
	if err != nil {
		return os.IsNotExist(err)
	}
	own, err := os.Stat(running)
	return err == nil && !os.SameFile(now, own)
}
