package doctor

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLasting(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		from, until time.Duration // from now
		soon        time.Duration
		ok, failed  bool
		says        string
	}{
		"fresh":                         {-day, 3650 * day, 90 * day, true, false, "until 2036"},
		"an authority that ends soon":   {-3600 * day, 89 * day, 90 * day, false, false, "ends soon"},
		"of a clock that was ahead":     {day, 3650 * day, 90 * day, false, true, "valid only from 2026-11-29T12:00:00Z"},
		"over":                          {-10 * day, -time.Minute, 0, false, true, "expired"},
		"three months, a third is left": {-60 * day, 30 * day, 0, true, false, ""},
		"three months, a fifth is left": {-72 * day, 18 * day, 0, false, false, "ends soon"},
		"two years, five weeks left":    {-695 * day, 35 * day, 0, true, false, ""},
		"two years, four weeks left":    {-702 * day, 28 * day, 0, false, false, "ends soon"},
	} {
		cert := &x509.Certificate{NotBefore: now.Add(c.from), NotAfter: now.Add(c.until)}
		f := Lasting{Check: "x", Soon: c.soon, Fix: "renew it", Read: func() (*x509.Certificate, error) { return cert, nil }}
		got := lasting([]Lasting{f}, now)
		if len(got) != 1 || got[0].OK != c.ok || got[0].Failed() != c.failed || !strings.Contains(got[0].Detail, c.says) || (got[0].Fix == "") != c.ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	missing := Lasting{Read: func() (*x509.Certificate, error) { return nil, fs.ErrNotExist }}
	broken := Lasting{Check: "b", Read: func() (*x509.Certificate, error) { return nil, errors.New("not PEM") }}
	if got := lasting([]Lasting{missing, broken}, now); len(got) != 1 || !got[0].Failed() || got[0].Detail != "not PEM" {
		t.Errorf("%+v", got)
	}
}

func TestScreensNeedTheirDirectory(t *testing.T) {
	t.Parallel()
	if f := screens(t.TempDir()); !f.OK {
		t.Errorf("%+v", f)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := screens(filepath.Join(file, "tmp")); !f.Failed() || f.Fix == "" {
		t.Errorf("%+v", f)
	}
}
