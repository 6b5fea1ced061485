package sqlstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
)

func fill(t *testing.T, s *sqlstore.Store, n int) {
	t.Helper()
	for range n {
		if _, _, err := s.Create(t.Context(), fresh(), nil, store.Idempotency{}); err != nil {
			t.Fatal(err)
		}
	}
}

func fresh() greenroom.Meeting {
	m := storetest.Meeting(time.Now())
	m.ID = greenroom.NewMeetingID()
	return m
}

// TestCopyWhileWriting copies again and again while many write: every copy is whole and holds at least what was
// saved before it began, and the writers are not held up by it.
func TestCopyWhileWriting(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	s := open(t, o)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var saved atomic.Int64
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				if _, _, err := s.Create(ctx, fresh(), nil, store.Idempotency{}); err == nil {
					saved.Add(1)
				} else if ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	dir := t.TempDir()
	for i := range 10 {
		before := saved.Load()
		c, err := sqlstore.Copy(t.Context(), o.Path, filepath.Join(dir, string(rune('a'+i))))
		if err != nil {
			t.Fatal(err)
		}
		if c.Meetings < before || c.Schema == 0 || c.Open != c.Meetings {
			t.Errorf("copy %d holds %+v, and %d were saved before it", i, c, before)
		}
	}
	stop()
	writers.Wait()
}

func TestCopyIsOneFileForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	fill(t, open(t, o), 3)
	dir := t.TempDir()
	to := filepath.Join(dir, "copy")
	if _, err := sqlstore.Copy(t.Context(), o.Path, to); err != nil {
		t.Fatal(err)
	}
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if got := open(t, sqlstore.Options{Path: to}); got.Ping(t.Context()) != nil {
		t.Error("the copy cannot be written")
	}
}

func TestCopyLeavesOutWhatWasReplaced(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	s := open(t, o)
	m, _, err := s.Create(t.Context(), fresh(), nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	old := "revoked-" + greenroom.NewSecret()
	for _, key := range []string{old, "new"} {
		m.Seats[0].Key = key
		if m, err = s.Update(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(t.TempDir(), "copy")
	if _, err := sqlstore.Copy(t.Context(), o.Path, to); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to); err != nil || strings.Contains(string(text), old) {
		t.Errorf("a link that was replaced is in the copy; %v", err)
	}
}

func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	copied := func(t *testing.T, path string) (string, error) {
		_, err := sqlstore.Copy(t.Context(), path, filepath.Join(t.TempDir(), "copy"))
		return greenroom.Sentence(err, ""), err
	}
	t.Run("NoDatabase", func(t *testing.T) {
		t.Parallel()
		o := inTemp(t)
		if say, err := copied(t, o.Path); !strings.Contains(say, "There is no database in "+filepath.Dir(o.Path)) {
			t.Error(err)
		}
		if _, err := os.Stat(o.Path); err == nil {
			t.Error("one was made")
		}
	})
	t.Run("NoDatabaseOfOurs", func(t *testing.T) {
		t.Parallel()
		o := inTemp(t)
		if err := os.WriteFile(o.Path, []byte(strings.Repeat("no database. ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		if say, err := copied(t, o.Path); !strings.Contains(say, "damaged or is not a database") {
			t.Error(err)
		}
	})
	t.Run("ANewerSchema", func(t *testing.T) {
		t.Parallel()
		o := inTemp(t)
		if err := open(t, o).Close(); err != nil {
			t.Fatal(err)
		}
		meddle(t, o.Path, `insert into goose_db_version (version_id, is_applied) values (9999, 1)`)
		if say, err := copied(t, o.Path); !strings.Contains(say, "newer greenroom (schema 9999") || !strings.Contains(say, o.Path) {
			t.Error(err)
		}
	})
	t.Run("WhenItsContextHasEnded", func(t *testing.T) {
		t.Parallel()
		o := inTemp(t)
		fill(t, open(t, o), 1)
		ctx, stop := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		stop(why)
		if _, err := sqlstore.Copy(ctx, o.Path, filepath.Join(t.TempDir(), "copy")); !errors.Is(err, why) {
			t.Error(err)
		}
	})
}

func TestClaimKeepsServersOff(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	s := open(t, o)
	if _, err := sqlstore.Claim(o.Path); !strings.Contains(greenroom.Sentence(err, ""), "another greenroom is using") {
		t.Errorf("claimed while a server uses it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	release, err := sqlstore.Claim(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, o.Path, "another greenroom is using")
	if err := release(true); err != nil {
		t.Fatal(err)
	}
	open(t, o)
}
