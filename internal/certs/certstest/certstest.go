// Package certstest is the suite that every certs.Issuer passes.
package certstest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/certs"
)

// Kind says what is particular about an issuer.
type Kind struct {
	Zone      string        // below which it signs names
	Named     bool          // it needs the name in the request, and says ErrUnnamed
	FixedLife time.Duration // certificates live so long, whatever until says; 0: until counts
}

// patience bounds how long one certificate may take.
const patience = 60 * time.Second

// slack is how long after until a certificate may still be good.
const slack = 2 * time.Hour

// Run runs the suite. open makes an issuer that ends with the test.
func Run(t *testing.T, k Kind, open func(t *testing.T) certs.Issuer) {
	t.Run("SignsTheNameAndNothingElse", func(t *testing.T) {
		t.Parallel()
		i, host, key := open(t), "i-1."+k.Zone, ECKey(t)
		until := time.Now().Add(2 * time.Hour)
		leaf := Verified(t, i, Await(t, i, Request(t, key, host), host, until), host)
		if len(leaf.DNSNames) != 1 || len(leaf.IPAddresses)+len(leaf.EmailAddresses)+len(leaf.URIs) > 0 || leaf.IsCA {
			t.Errorf("it is good for more than %s: %v, an authority: %v", host, leaf.DNSNames, leaf.IsCA)
		}
		if !key.PublicKey.Equal(leaf.PublicKey) {
			t.Error("it is for another key")
		}
		last := until.Add(slack)
		if k.FixedLife > 0 {
			last = time.Now().Add(k.FixedLife)
		}
		if leaf.NotAfter.After(last) {
			t.Errorf("the desktop ends at %v, its certificate at %v", until, leaf.NotAfter)
		}
	})
	t.Run("RSAToo", func(t *testing.T) {
		t.Parallel()
		i, host := open(t), "i-2."+k.Zone
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		Verified(t, i, Await(t, i, Request(t, key, host), host, time.Now().Add(time.Hour)), host)
	})
	t.Run("OtherNamesOfTheRequestCountForNothing", func(t *testing.T) {
		t.Parallel()
		i, host := open(t), "i-3."+k.Zone
		chain, err := await(t.Context(), i, Request(t, ECKey(t), host, "bank.example", "*."+k.Zone), host, time.Now().Add(time.Hour))
		if errors.Is(err, greenroom.ErrForbidden) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if leaf := Verified(t, i, chain, host); len(leaf.DNSNames) != 1 {
			t.Errorf("it signed %v", leaf.DNSNames)
		}
	})
	t.Run("WithoutANameInTheRequest", func(t *testing.T) {
		t.Parallel()
		i, host := open(t), "i-4."+k.Zone
		chain, err := await(t.Context(), i, Request(t, ECKey(t)), host, time.Now().Add(time.Hour))
		if k.Named {
			if !errors.Is(err, certs.ErrUnnamed) {
				t.Errorf("got %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		Verified(t, i, chain, host)
	})
	t.Run("Refuses", func(t *testing.T) { refuses(t, k, open(t)) })
	t.Run("ManyAtOnce", func(t *testing.T) {
		t.Parallel()
		i := open(t)
		var wg sync.WaitGroup
		for n := range 4 {
			host := fmt.Sprintf("i-9%d.%s", n, k.Zone)
			request := Request(t, ECKey(t), host)
			for range 2 {
				wg.Go(func() {
					chain, err := await(t.Context(), i, request, host, time.Now().Add(time.Hour))
					if err != nil {
						t.Errorf("%s: %v", host, err)
						return
					}
					Verified(t, i, chain, host)
				})
			}
		}
		wg.Wait()
	})
}

func refuses(t *testing.T, k Kind, i certs.Issuer) {
	host, soon := "i-5."+k.Zone, time.Now().Add(time.Hour)
	good := Request(t, ECKey(t), host)
	block, _ := pem.Decode(good)
	der := append([]byte(nil), block.Bytes...)
	der[len(der)-1] ^= 1
	forged := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der})
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := "bank.example"
	for name, c := range map[string]struct {
		request []byte
		host    string
		until   time.Time
		want    error
	}{
		"nothing":              {nil, host, soon, greenroom.ErrForbidden},
		"half a request":       {good[:len(good)/2], host, soon, greenroom.ErrForbidden},
		"two requests":         {append(append([]byte(nil), good...), good...), host, soon, greenroom.ErrForbidden},
		"a huge request":       {append(append([]byte(nil), good...), make([]byte, 1<<20)...), host, soon, greenroom.ErrForbidden},
		"a forged signature":   {forged, host, soon, greenroom.ErrForbidden},
		"a short RSA key":      {Request(t, short, host), host, soon, greenroom.ErrForbidden},
		"another curve":        {Request(t, odd, host), host, soon, greenroom.ErrForbidden},
		"another zone":         {Request(t, ECKey(t), other), other, soon, greenroom.ErrForbidden},
		"a wildcard":           {Request(t, ECKey(t), "*."+k.Zone), "*." + k.Zone, soon, greenroom.ErrForbidden},
		"the zone itself":      {Request(t, ECKey(t), k.Zone), k.Zone, soon, greenroom.ErrForbidden},
		"a desktop that ended": {good, host, time.Now().Add(-2 * time.Hour), greenroom.ErrEnded},
	} {
		if _, err := i.Issue(t.Context(), c.request, c.host, c.until); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := i.Issue(ctx, good, host, soon); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// Await asks as an agent does, again and again while the certificate is being made.
func Await(t *testing.T, i certs.Issuer, request []byte, host string, until time.Time) []byte {
	t.Helper()
	chain, err := await(t.Context(), i, request, host, until)
	if err != nil {
		t.Fatalf("issue for %s: %v", host, err)
	}
	return chain
}

func await(ctx context.Context, i certs.Issuer, request []byte, host string, until time.Time) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		chain, err := i.Issue(ctx, request, host, until)
		if !errors.Is(err, certs.ErrPending) {
			return chain, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Verified is the leaf of a chain that a browser would accept for host.
func Verified(t *testing.T, i certs.Issuer, chain []byte, host string) *x509.Certificate {
	t.Helper()
	var list []*x509.Certificate
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		t.Fatalf("no certificate in %q", chain)
	}
	between := x509.NewCertPool()
	for _, c := range list[1:] {
		between.AddCert(c)
	}
	if _, err := list[0].Verify(x509.VerifyOptions{Roots: i.Roots(), Intermediates: between, DNSName: host}); err != nil {
		t.Errorf("it does not verify for %s: %v", host, err)
	}
	return list[0]
}

// ECKey makes a key as agents do.
func ECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Request is a PEM request of key for names.
func Request(t *testing.T, key crypto.Signer, names ...string) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{}, DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
