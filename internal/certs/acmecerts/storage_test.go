package acmecerts_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom/internal/certs"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/certstest"
	"greenroom/internal/testenv/pebbletest"
)

// shelf keeps files in memory, for several processes.
type shelf struct {
	mu    sync.Mutex
	files map[string][]byte
	locks map[string]chan struct{}
}

func newShelf() *shelf {
	return &shelf{files: map[string][]byte{}, locks: map[string]chan struct{}{}}
}

func (s *shelf) Store(_ context.Context, name string, content []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = content
	return nil
}

func (s *shelf) Load(_ context.Context, name string) ([]byte, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if content, ok := s.files[name]; ok {
		return content, time.Now(), nil
	}
	return nil, time.Time{}, fs.ErrNotExist
}

func (s *shelf) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, name)
	return nil
}

func (s *shelf) List(_ context.Context, directory string) (out []string, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.files {
		if strings.HasPrefix(name, directory+"/") {
			out = append(out, name)
		}
	}
	return out, nil
}

func (s *shelf) lock(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locks[name] == nil {
		s.locks[name] = make(chan struct{}, 1)
	}
	return s.locks[name]
}

func (s *shelf) Lock(ctx context.Context, name string) error {
	select {
	case s.lock(name) <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *shelf) Unlock(_ context.Context, name string) error { <-s.lock(name); return nil }

// TestProcessesShareAccountAndOrders asks two processes without a disk for the same certificate at once, and a third one later.
func TestProcessesShareAccountAndOrders(t *testing.T) {
	t.Parallel()
	account, issued := newShelf(), newShelf()
	first := setup(t, pebbletest.Options{}, func(o *acmecerts.Options) { o.Dir, o.Files, o.Issued = "", account, issued })
	host := "i-1." + domain
	request := certstest.Request(t, certstest.ECKey(t), host)
	var mu sync.Mutex
	chains := map[string]int{}
	ask := func(a certs.Issuer) {
		for {
			chain, err := a.Issue(t.Context(), request, host, time.Now().Add(time.Hour))
			if errors.Is(err, certs.ErrPending) {
				continue
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			chains[string(chain)]++
			return
		}
	}
	another := func() *acmecerts.Authority {
		a := acmecerts.Open(first.options)
		t.Cleanup(a.Close)
		return a
	}
	var both sync.WaitGroup
	for _, a := range []certs.Issuer{first, another()} {
		both.Go(func() { ask(a) })
	}
	both.Wait()
	ask(another())
	if len(chains) != 1 {
		t.Errorf("%d certificates were ordered for one key", len(chains))
	}
	accounts := 0
	for name := range account.files {
		if filepath.Ext(name) == ".key" {
			accounts++
		}
	}
	if accounts != 1 {
		t.Errorf("%d accounts are kept: %v", accounts, account.files)
	}
}
