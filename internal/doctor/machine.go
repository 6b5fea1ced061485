package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"greenroom"
	"greenroom/internal/limits"
)

// bounds looks at the limits of this shell, which a server that is started from it has, too.
func bounds() []Finding {
	low := limits.Look()
	if len(low) == 0 {
		return []Finding{{Check: "limits", OK: true, Detail: "open files, processes and memory are enough"}}
	}
	var out []Finding
	for _, l := range low {
		out = append(out, Finding{Check: "limit of " + l.Limit, Note: !l.Useless, Detail: l.Message, Fix: l.Fix})
	}
	return out
}

// screens looks whether X servers can put their locks and sockets where their programs look for them.
func screens(tmp string) Finding {
	f := Finding{Check: "directory of screens"}
	for _, dir := range []string{tmp, filepath.Join(tmp, ".X11-unix")} {
		if !exists(dir) && dir != tmp {
			continue // the first X server makes it
		}
		if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
			f.Detail, f.Fix = fmt.Sprintf("%s cannot be written: %v", dir, err), "let this user write there: in a container mount a tmpfs on /tmp, in a unit set PrivateTmp=yes or ReadWritePaths=/tmp"
			return f
		}
	}
	f.OK, f.Detail = true, tmp+" can be written"
	return f
}

// Lasting is a certificate that is good for a time.
type Lasting struct {
	Check string
	Read  func() (*x509.Certificate, error) // fs.ErrNotExist: it is not made yet
	Soon  time.Duration                     // it should have been renewed when it has less left; 0 is a quarter of its life, and 30 days at most
	Fix   string
}

func lasting(list []Lasting, now time.Time) []Finding {
	var out []Finding
	for _, l := range list {
		cert, err := l.Read()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			out = append(out, Finding{Check: l.Check, Detail: greenroom.Sentence(err, err.Error()), Fix: l.Fix})
			continue
		}
		out = append(out, l.judge(cert, now))
	}
	return out
}

func (l Lasting) judge(cert *x509.Certificate, now time.Time) Finding {
	soon := l.Soon
	if soon == 0 {
		soon = min(cert.NotAfter.Sub(cert.NotBefore)/4, 30*24*time.Hour)
	}
	f := Finding{Check: l.Check, Detail: "until " + cert.NotAfter.UTC().Format(time.RFC3339), Fix: l.Fix}
	switch {
	case now.Before(cert.NotBefore):
		f.Detail = "valid only from " + cert.NotBefore.UTC().Format(time.RFC3339) + "; is the clock right?"
	case !cert.NotAfter.After(now):
		f.Detail += ", expired"
	case cert.NotAfter.Sub(now) < soon:
		f.Note, f.Detail = true, f.Detail+", ends soon"
	default:
		f.OK, f.Fix = true, ""
	}
	return f
}
