package sqlstore_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
)

// copyOver writes the content of one file over that of another, which stays the same file.
func copyOver(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(dst, src)
	if err := errors.Join(err, dst.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFilesAreTakenAway does to the files of an open database what people do: nothing is accepted from then on.
func TestFilesAreTakenAway(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(t *testing.T, path, other string) error{
		"Removed":     func(_ *testing.T, path, _ string) error { return os.Remove(path) },
		"MovedAway":   func(_ *testing.T, path, _ string) error { return os.Rename(path, path+".old") },
		"Replaced":    func(_ *testing.T, path, other string) error { return os.Rename(other, path) },
		"WrittenOver": func(t *testing.T, path, other string) error { copyOver(t, other, path); return nil },
		"Emptied":     func(_ *testing.T, path, _ string) error { return os.Truncate(path, 0) },
		"LogRemoved":  func(_ *testing.T, path, _ string) error { return os.Remove(path + "-wal") },
		"AllRemoved":  func(_ *testing.T, path, _ string) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			others := sqlstore.Options{Path: filepath.Join(t.TempDir(), "other.db")}
			if err := open(t, others).Close(); err != nil {
				t.Fatal(err)
			}
			o := sqlstore.Options{Path: filepath.Join(t.TempDir(), "data", "greenroom.db")}
			s, err := sqlstore.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close() // it may have nothing left to close well
			m := create(t, s)
			if err := s.Intact(); err != nil {
				t.Fatal(err)
			}
			if err := take(t, o.Path, others.Path); err != nil {
				t.Fatal(err)
			}
			_, _, err = s.Create(t.Context(), storetest.Meeting(time.Now()), nil, store.Idempotency{})
			_, err2 := s.Update(t.Context(), m, nil)
			for what, err := range map[string]error{"create": err, "update": err2, "ping": s.Ping(t.Context()), "intact": s.Intact()} {
				if sentence := greenroom.Sentence(err, ""); !errors.Is(err, greenroom.ErrUnavailable) || !strings.Contains(sentence, "removed or replaced") || !strings.Contains(sentence, o.Path) {
					t.Errorf("%s: %q, %v", what, sentence, err)
				}
			}
		})
	}
}

func TestFilesThatAreBackAreUsed(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	s := open(t, o)
	m := create(t, s)
	if err := os.Rename(o.Path, o.Path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("it writes to a file that is not there")
	}
	if err := os.Rename(o.Path+".old", o.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), m, nil); err != nil {
		t.Error(err)
	}
}

// TestWorkKeepsTheFiles does what makes SQLite itself change its files: nothing is to be taken for a loss.
func TestWorkKeepsTheFiles(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	s := open(t, o)
	m := create(t, s)
	m.Title = strings.Repeat("x", 1<<20)
	var err error
	for i := range 20 { // past several checkpoints
		if m, err = s.Update(t.Context(), m, nil); err != nil {
			t.Fatal(i, err)
		}
		if i%7 == 0 {
			if _, err := sqlstore.Copy(t.Context(), o.Path, filepath.Join(t.TempDir(), "copy.db")); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Intact(); err != nil {
			t.Fatal(i, err)
		}
	}
}

func TestEmptyDatabaseThatWasInUseIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"Empty":   func(path string) error { return os.Truncate(path, 0) },
		"Missing": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := inTemp(t)
			if err := open(t, o).Close(); err != nil {
				t.Fatal(err)
			}
			if err := spoil(o.Path); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time is no better
				refuses(t, o.Path, o.Path, "missing or empty", "restore", o.Path+".lock")
			}
			if err := os.Remove(o.Path + ".lock"); err != nil {
				t.Fatal(err)
			}
			open(t, o)
		})
	}
}

// A start that was killed before the database was opened leaves an empty file that nobody has used.
func TestEmptyDatabaseThatWasNeverUsedIsNew(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	release, err := sqlstore.Claim(o.Path)
	if err == nil {
		err = release(true)
	}
	if err != nil {
		t.Fatal(err)
	}
	open(t, o)
}

// TestReserve fills the disk as SQLite sees it, and lets the reserve give room.
func TestReserve(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	o.Reserve = 1 << 20
	file := o.Path + ".reserve"
	s := open(t, o)
	if info, err := os.Stat(file); err != nil || info.Size() != o.Reserve || info.Mode().Perm() != 0o600 {
		t.Fatalf("%+v, %v", info, err)
	}
	m := create(t, s)
	pages := func(n int) (is int) {
		t.Helper()
		query := "pragma page_count"
		if n > 0 {
			query = "pragma max_page_count = " + strconv.Itoa(n)
		}
		if err := s.DB().QueryRowContext(t.Context(), query).Scan(&is); err != nil {
			t.Fatal(err)
		}
		return is
	}
	pages(pages(0))
	big := storetest.Meeting(time.Now())
	big.Title = strings.Repeat("x", 1<<20)
	_, _, err := s.Create(t.Context(), big, nil, store.Idempotency{})
	if !strings.Contains(greenroom.Sentence(err, ""), "is full") || !errors.Is(err, greenroom.ErrUnavailable) {
		t.Errorf("a new meeting on a full disk: %v", err)
	}
	if s.Ping(t.Context()) != nil { // there is room for the reserve on the real disk: it was taken again
		t.Error("it is not ready though there is room")
	}
	// Now nobody can take it again.
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700), os.WriteFile(filepath.Join(file, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Create(t.Context(), big, nil, store.Idempotency{})
	if !strings.Contains(greenroom.Sentence(err, ""), "is full") {
		t.Errorf("a new meeting on a full disk: %v", err)
	}
	pages(1 << 20) // what the reserve gave
	if _, _, err := s.Create(t.Context(), storetest.Meeting(time.Now()), nil, store.Idempotency{}); !strings.Contains(greenroom.Sentence(err, ""), "is full") {
		t.Errorf("the reserve is used for a new meeting: %v", err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("it is ready without a reserve")
	}
	m.Closed = true
	if _, err := s.Update(t.Context(), m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventEnded}}); err != nil {
		t.Errorf("a meeting cannot be ended: %v", err)
	}
	if err := os.RemoveAll(file); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	create(t, s)
}
