package secrets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/secrets"
)

// manager is a secret manager whose one secret the test changes.
type manager struct {
	mu    sync.Mutex
	text  string
	err   error
	reads int
}

func (m *manager) Read(_ context.Context, name, jsonKey string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	return name + " " + jsonKey + " " + m.text, m.err
}

func (m *manager) set(text string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text, m.err = text, err
}

func open(t *testing.T, o secrets.Options, text string) *secrets.Value {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	v, err := secrets.New(o).Open(t.Context(), "dns.token", text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func want(t *testing.T, v *secrets.Value, text string) {
	t.Helper()
	if got, err := v.Get(t.Context()); got != text || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, text)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	want(t, open(t, secrets.Options{}, "hunter2"), "hunter2")
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "first\n")
	var log bytes.Buffer
	v := open(t, secrets.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, "file:"+path)
	want(t, v, "first")
	write(t, path, "second\n")
	want(t, v, "second")
	write(t, path, "")
	want(t, v, "second")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want(t, v, "second")
	write(t, path, "third")
	want(t, v, "third")
	for _, says := range []string{"is empty", "no such file", "setting=dns.token", "rotated"} {
		if !strings.Contains(log.String(), says) {
			t.Errorf("the log does not say %q", says)
		}
	}
	for _, secret := range []string{"first", "second", "third"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestManager(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &manager{text: "1"}
		v := open(t, secrets.Options{AWS: m, Every: 5 * time.Minute}, "secret://aws/greenroom/dns#token")
		want(t, v, "greenroom/dns token 1")
		m.set("2", nil)
		time.Sleep(time.Minute)
		want(t, v, "greenroom/dns token 1")
		time.Sleep(5 * time.Minute)
		want(t, v, "greenroom/dns token 2")

		m.set("3", nil)
		v.Refused()
		want(t, v, "greenroom/dns token 2") // it was read just now
		time.Sleep(11 * time.Second)
		want(t, v, "greenroom/dns token 3")

		m.set("4", errors.New("away"))
		time.Sleep(6 * time.Minute)
		want(t, v, "greenroom/dns token 3")
		m.set("4", nil)
		want(t, v, "greenroom/dns token 3") // not asked at every call
		time.Sleep(6 * time.Minute)
		want(t, v, "greenroom/dns token 4")
		if m.reads != 5 {
			t.Errorf("it was read %d times", m.reads)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "0")
	v := open(t, secrets.Options{}, "file:"+path)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if text, err := v.Get(t.Context()); err != nil || text == "" {
					t.Errorf("%q %v", text, err)
				}
			}
		})
	}
	for n := range 50 {
		write(t, path, fmt.Sprint(n))
	}
	wg.Wait()
	want(t, v, "49")
}

func TestFaultsNameTheKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, huge := filepath.Join(dir, "empty"), filepath.Join(dir, "huge")
	write(t, empty, "\n")
	write(t, huge, strings.Repeat("x", 65<<10))
	s := secrets.New(secrets.Options{AWS: &manager{err: &greenroom.UserError{Message: "it is not there."}}})
	for text, says := range map[string]string{
		"file:token":          "dns.token must give the whole path",
		"file:" + dir + "/no": "cannot be read: no such file",
		"file:" + empty:       "is empty",
		"file:" + huge:        "larger than 64 KiB",
		"secret://aws/":       "must name a secret",
		"secret://aws/x#":     "must name a secret",
		"secret://gcp/x":      "no other is known",
		"secret://aws/x":      "dns.token: it is not there.",
	} {
		_, err := s.Open(t.Context(), "dns.token", text)
		if got := greenroom.Sentence(err, ""); !strings.HasPrefix(got, "dns.token") || !strings.Contains(got, says) {
			t.Errorf("%s: got %q (%v)", text, got, err)
		}
	}
}

func TestNeverPrinted(t *testing.T) {
	t.Parallel()
	v := open(t, secrets.Options{}, "hunter2")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v, "in", struct{ V *secrets.Value }{v})
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(v), fmt.Sprintf("%+v %#v %s %q", v, v, v, v), log.String(), string(text)} {
		if strings.Contains(printed, "hunter2") || !strings.Contains(printed, "***") {
			t.Errorf("printed: %s", printed)
		}
	}
}
