package certs_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/certs"
)

func TestOnlyNames(t *testing.T) {
	t.Parallel()
	const host = "i-1.desk.example.com"
	for name, c := range map[string]struct {
		request x509.CertificateRequest
		want    error
	}{
		"the name":               {x509.CertificateRequest{DNSNames: []string{host}}, nil},
		"as common name, too":    {x509.CertificateRequest{DNSNames: []string{host}, Subject: pkix.Name{CommonName: host}}, nil},
		"nothing":                {x509.CertificateRequest{}, certs.ErrUnnamed},
		"another":                {x509.CertificateRequest{DNSNames: []string{"bank.example"}}, greenroom.ErrForbidden},
		"one more":               {x509.CertificateRequest{DNSNames: []string{host, "bank.example"}}, greenroom.ErrForbidden},
		"another as common name": {x509.CertificateRequest{DNSNames: []string{host}, Subject: pkix.Name{CommonName: "bank.example"}}, greenroom.ErrForbidden},
		"only as common name":    {x509.CertificateRequest{Subject: pkix.Name{CommonName: host}}, greenroom.ErrForbidden},
		"an address":             {x509.CertificateRequest{DNSNames: []string{host}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, greenroom.ErrForbidden},
		"mail":                   {x509.CertificateRequest{DNSNames: []string{host}, EmailAddresses: []string{"a@b.example"}}, greenroom.ErrForbidden},
		"only an address of web": {x509.CertificateRequest{URIs: []*url.URL{{Scheme: "https", Host: host}}}, greenroom.ErrForbidden},
	} {
		if err := certs.OnlyNames(&c.request, host); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBelow(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a.desk.example.com": true, "b.a.desk.example.com": true, "desk.example.com": false, ".desk.example.com": false, "xdesk.example.com": false,
		"*.desk.example.com": false, "A.desk.example.com": false, "a..desk.example.com": false, "-a.desk.example.com": false, "a_b.desk.example.com": false,
		strings.Repeat("a", 64) + ".desk.example.com": false, strings.Repeat("a.", 130) + "desk.example.com": false,
	} {
		if certs.Below(name, "desk.example.com") != want {
			t.Errorf("%s: not %v", name, want)
		}
	}
}
