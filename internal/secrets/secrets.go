// Package secrets reads the configuration's secrets where they are kept: in the configuration itself, in a file
// (file:/path), or with AWS Secrets Manager (secret://aws/name-or-arn#json-key). A secret that is rotated there
// is read again. None is ever printed.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"greenroom"
	"greenroom/internal/logkey"
)

const (
	filePrefix = "file:"
	awsPrefix  = "secret://aws/"
)

const (
	maxFile      = 64 << 10         // bytes
	readTimeout  = 15 * time.Second // of one look at a secret manager
	readEvery    = 5 * time.Minute  // how often a secret manager is asked again
	leastBetween = 10 * time.Second // between two looks, whatever was refused
)

// Check says what is wrong with the form of a reference; a text that is not a reference is a secret itself. The message
// ends a sentence that begins with the name of a key, and quotes no secret.
func Check(text string) error {
	path, file := strings.CutPrefix(text, filePrefix)
	name, aws := strings.CutPrefix(text, awsPrefix)
	id, key, keyed := strings.Cut(name, "#")
	switch {
	case file && !strings.HasPrefix(path, "/"):
		return errors.New("must give the whole path of its file, such as file:/etc/greenroom/token")
	case aws && (id == "" || keyed && key == "" || strings.ContainsAny(id, " ?")):
		return errors.New("must name a secret of AWS Secrets Manager, such as secret://aws/greenroom/cloudflare or secret://aws/greenroom#token")
	case !aws && strings.HasPrefix(text, "secret:"):
		return errors.New("must begin with secret://aws/ if it is kept with a secret manager; no other is known")
	}
	return nil
}

// IsReference reports whether a text says where a secret is kept, instead of being one.
func IsReference(text string) bool {
	return strings.HasPrefix(text, filePrefix) || strings.HasPrefix(text, awsPrefix)
}

// Manager is a secret manager. Its errors are greenroom.UserErrors where a person can fix them.
type Manager interface {
	// Read returns the present value of the secret of that name, or of one key of it if it is a JSON object.
	Read(ctx context.Context, name, jsonKey string) (string, error)
}

// Options of a Store.
type Options struct {
	AWS    Manager       // who answers for secret://aws/
	Every  time.Duration // how often a manager is asked again; 5 min
	Logger *slog.Logger
}

// Store opens secrets.
type Store struct{ o Options }

// New returns a store.
func New(o Options) *Store {
	if o.Every == 0 {
		o.Every = readEvery
	}
	return &Store{o: o}
}

// Value is one secret.
type Value struct {
	key     string // of the configuration
	store   *Store
	read    func(context.Context) (string, error)
	changed func() bool // whether it is time to read again; nil: never

	current atomic.Pointer[string]
	refused atomic.Bool

	mu    sync.Mutex // of whoever reads
	at    time.Time
	fault string // that was told last
}

// Open reads the secret that the text of a key of the configuration is or refers to. An error names the key.
func (s *Store) Open(ctx context.Context, key, text string) (*Value, error) {
	v := &Value{key: key, store: s, read: func(context.Context) (string, error) { return text, nil }}
	if path, ok := strings.CutPrefix(text, filePrefix); ok {
		f := &file{path: path}
		v.read, v.changed = f.read, f.changed
	}
	if name, ok := strings.CutPrefix(text, awsPrefix); ok {
		id, jsonKey, _ := strings.Cut(name, "#")
		v.read = func(ctx context.Context) (string, error) { return s.o.AWS.Read(ctx, id, jsonKey) }
		v.changed = func() bool {
			age := time.Since(v.at)
			return age >= s.o.Every || v.refused.Load() && age >= min(leastBetween, s.o.Every)
		}
	}
	if err := Check(text); err != nil {
		return nil, &greenroom.UserError{Message: key + " " + err.Error() + "."}
	}
	if err := v.refresh(ctx); err != nil {
		return nil, &greenroom.UserError{Message: key + ": " + greenroom.Sentence(err, "the secret cannot be read: "+err.Error()+"."), Cause: err}
	}
	return v, nil
}

// Get returns the secret. One that was changed where it is kept is read again first; if that fails, the one
// before is returned as long as there is one, and the log tells.
func (v *Value) Get(ctx context.Context) (string, error) {
	if v.changed != nil && v.mu.TryLock() { // one reads, the others go on with what there is
		defer v.mu.Unlock()
		if v.changed() {
			v.again(ctx)
		}
	}
	return *v.current.Load(), ctx.Err()
}

// Refused says that the secret was not accepted: it may have been rotated, and is read again soon.
func (v *Value) Refused() { v.refused.Store(true) }

func (v *Value) again(ctx context.Context) {
	before, fault := *v.current.Load(), ""
	err := v.refresh(ctx)
	if err != nil {
		fault = err.Error()
	}
	switch {
	case err != nil && fault != v.fault:
		v.store.o.Logger.Error("secret could not be read again; the one before stays in use", logkey.Setting, v.key, logkey.Err, err)
	case err == nil && before != *v.current.Load():
		v.store.o.Logger.Info("secret was rotated", logkey.Setting, v.key)
	}
	v.fault = fault
}

func (v *Value) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readTimeout, fmt.Errorf("reading took longer than %s", readTimeout))
	defer cancel()
	v.at = time.Now()
	v.refused.Store(false)
	text, err := v.read(ctx)
	if err != nil {
		return err
	}
	v.current.Store(&text)
	return nil
}

func (v *Value) String() string { return "***" }

// GoString keeps %#v from printing it.
func (v *Value) GoString() string { return "***" }

// LogValue keeps logs from printing it.
func (v *Value) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText keeps JSON from printing it.
func (v *Value) MarshalText() ([]byte, error) { return []byte("***"), nil }

// file is a secret in a file of its own.
type file struct {
	path string
	seen os.FileInfo
}

func (f *file) changed() bool {
	now, err := os.Stat(f.path)
	return err != nil || f.seen == nil || !os.SameFile(now, f.seen) || now.Size() != f.seen.Size() || !now.ModTime().Equal(f.seen.ModTime())
}

// read takes the whole file, without line ends after it.
func (f *file) read(context.Context) (string, error) {
	in, err := os.Open(f.path)
	if err != nil {
		return "", f.unreadable(err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return "", f.unreadable(err)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return "", f.unreadable(err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	switch {
	case len(text) > maxFile:
		return "", &greenroom.UserError{Message: fmt.Sprintf("the file %s is larger than 64 KiB, and holds no secret.", f.path)}
	case secret == "":
		return "", &greenroom.UserError{Message: fmt.Sprintf("the file %s is empty; write the secret into it.", f.path)}
	}
	f.seen = info
	return secret, nil
}

func (f *file) unreadable(err error) error {
	why := err
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		why = pe.Err
	}
	return &greenroom.UserError{Message: fmt.Sprintf("the file %s cannot be read: %v.", f.path, why), Cause: err}
}
