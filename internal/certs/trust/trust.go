// Package trust makes this machine's browsers and programs accept the local authority: it adds its root to the
// system's store and to those of Chromium and Firefox, which keep their own.
package trust

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"greenroom"
)

// Stores says whose stores are meant.
type Stores struct {
	Home     string // the home directory with the browsers' profiles
	NoSystem bool   // leave the system's store alone: it takes root
}

// Finding is the state of one store.
type Finding struct {
	Store   string // its name for people
	Trusted bool
	Detail  string // what to do, where it is not trusted
}

// store is one place where trusted roots are kept.
type store interface {
	name() string
	trusts(ctx context.Context, root *x509.Certificate) bool
	add(ctx context.Context, root *x509.Certificate) error
	remove(ctx context.Context, root *x509.Certificate) error
	hint(root *x509.Certificate) string // what a person can do where add did not work
}

// Trust adds the root to every store and writes a line about each to out. A store that trusts it already is left
// alone. One that cannot be changed does not keep the others from it; the greenroom.UserError then says that something is left to do.
func (s Stores) Trust(ctx context.Context, rootPEM []byte, out io.Writer) error {
	return s.each(rootPEM, func(st store, root *x509.Certificate) error {
		if st.trusts(ctx, root) {
			fmt.Fprintf(out, "%s: trusted already\n", st.name())
			return nil
		}
		if err := st.add(ctx, root); err != nil {
			fmt.Fprintf(out, "%s: not changed: %v\n  %s\n", st.name(), err, st.hint(root))
			return fmt.Errorf("%s: %w", st.name(), err)
		}
		fmt.Fprintf(out, "%s: trusted now\n", st.name())
		return nil
	})
}

// Untrust takes the root out of every store that has it; see Trust.
func (s Stores) Untrust(ctx context.Context, rootPEM []byte, out io.Writer) error {
	return s.each(rootPEM, func(st store, root *x509.Certificate) error {
		if !st.trusts(ctx, root) {
			fmt.Fprintf(out, "%s: did not trust it\n", st.name())
			return nil
		}
		if err := st.remove(ctx, root); err != nil {
			fmt.Fprintf(out, "%s: not changed: %v\n", st.name(), err)
			return fmt.Errorf("%s: %w", st.name(), err)
		}
		fmt.Fprintf(out, "%s: trusted no more\n", st.name())
		return nil
	})
}

// Trusted reports the state of each store, changing nothing.
func (s Stores) Trusted(ctx context.Context, rootPEM []byte) ([]Finding, error) {
	var findings []Finding
	err := s.each(rootPEM, func(st store, root *x509.Certificate) error {
		f := Finding{Store: st.name(), Trusted: st.trusts(ctx, root)}
		if !f.Trusted {
			f.Detail = st.hint(root)
		}
		findings = append(findings, f)
		return nil
	})
	return findings, err
}

func (s Stores) each(rootPEM []byte, do func(store, *x509.Certificate) error) error {
	block, _ := pem.Decode(rootPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return fmt.Errorf("read the root: not a certificate in PEM: %w", greenroom.ErrPermanent)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("read the root: %w: %w", err, greenroom.ErrPermanent)
	}
	var errs []error
	for _, st := range s.stores() {
		errs = append(errs, do(st, root))
	}
	if err := errors.Join(errs...); err != nil {
		return &greenroom.UserError{Message: "Not every store could be changed; the lines above say what to do", Cause: err}
	}
	return nil
}

func (s Stores) stores() []store {
	var all []store
	if !s.NoSystem {
		all = append(all, system{})
	}
	return append(all, browsers(s.Home)...)
}
