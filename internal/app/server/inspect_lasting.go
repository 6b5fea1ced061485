package server

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"

	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/doctor"
)

// Lasting are the certificates beside those of other issuers that the doctor looks at. Reading them changes nothing.
func Lasting(cfg config.Config) []doctor.Lasting {
	const renew = "start the server, or run: greenroom trust; both renew it, and those who trust it trust it anew"
	read := func(file string) func() (*x509.Certificate, error) {
		return func() (*x509.Certificate, error) { return readCertificate(file) }
	}
	all := []doctor.Lasting{{Check: "certificate of the local authority", Read: read(filepath.Join(cfg.DataDir, "ca.pem")), Soon: localca.RenewLeft, Fix: renew}}
	switch cfg.TLS.Issuer {
	case config.IssuerLocal:
		dir := localca.PagesDir(filepath.Join(cfg.DataDir, "pages"), cfg.TLSNames())
		all = append(all, doctor.Lasting{Check: "certificate of the pages' authority", Read: read(filepath.Join(dir, "ca.pem")), Soon: localca.RenewLeft, Fix: renew})
	case config.IssuerFiles:
		all = append(all, doctor.Lasting{Check: "certificate of the pages", Read: read(cfg.TLS.ChainFile), Fix: "renew it and put the new chain and key into the same files"})
	}
	return all
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New(file + " is not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
