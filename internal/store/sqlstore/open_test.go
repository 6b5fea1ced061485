package sqlstore_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
)

// refuses opens a store that cannot be opened and wants the sentence to say why.
func refuses(t *testing.T, path string, words ...string) {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	if err == nil {
		s.Close()
		t.Fatal("it opened")
	}
	sentence := greenroom.Sentence(err, "")
	for _, w := range words {
		if !strings.Contains(sentence, w) {
			t.Errorf("the sentence is %q, want %q in it; %v", sentence, w, err)
		}
	}
	if strings.Contains(sentence, "\n") {
		t.Errorf("more than a sentence: %q", sentence)
	}
}

func TestSavedSurvivesReopening(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	s := open(t, o)
	m, _, err := s.Create(t.Context(), storetest.Meeting(time.Now()), nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := open(t, o).Meeting(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, inTemp(t))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	s := open(t, o)
	refuses(t, o.Path, "another greenroom is using "+filepath.Dir(o.Path))
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("the first is disturbed: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, o)
}

func TestNewerSchemaIsRefusedUnchanged(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	if err := open(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	meddle(t, o.Path, `insert into goose_db_version (version_id, is_applied) values (9999, 1)`)
	before, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, o.Path, "newer greenroom", "9999", "Nothing was changed")
	if after, err := os.ReadFile(o.Path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed; %v", err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(doc []byte) []byte{
		"not a database": func([]byte) []byte { return []byte(strings.Repeat("no database at all. ", 500)) },
		"broken pages": func(doc []byte) []byte {
			for i := 4096; i < len(doc); i++ {
				doc[i] ^= 0x55
			}
			return doc
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := inTemp(t)
			if err := open(t, o).Close(); err != nil {
				t.Fatal(err)
			}
			doc, err := os.ReadFile(o.Path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(o.Path, spoil(doc), 0o600); err != nil {
				t.Fatal(err)
			}
			refuses(t, o.Path, o.Path, "damaged")
		})
	}
}

func TestUnwritableDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, filepath.Join(file, "greenroom.db"), file, "cannot be written")
}

func TestFullDiskFailsTheWriteAlone(t *testing.T) {
	t.Parallel()
	s := open(t, inTemp(t))
	m, _, err := s.Create(t.Context(), storetest.Meeting(time.Now()), nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := s.DB().QueryRowContext(t.Context(), `pragma page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		if err := s.DB().QueryRowContext(t.Context(), fmt.Sprint("pragma max_page_count = ", n)).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	big := m.Clone()
	big.Title = strings.Repeat("x", 1<<20)
	_, err = s.Update(t.Context(), big, nil)
	if sentence := greenroom.Sentence(err, ""); !strings.Contains(sentence, "is full") {
		t.Errorf("the sentence is %q; %v", sentence, err)
	}
	got, err := s.Meeting(t.Context(), m.ID)
	if diff := cmp.Diff(m, got); diff != "" || err != nil {
		t.Errorf("after the failure: %v\n%s", err, diff)
	}
	limit(1 << 20)
	if _, err := s.Update(t.Context(), big, nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	t.Parallel()
	s := open(t, inTemp(t))
	for pragma, want := range map[string]string{"foreign_keys": "1", "synchronous": "2", "journal_mode": "wal"} {
		var got string
		if err := s.DB().QueryRowContext(t.Context(), "pragma "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, want %s; %v", pragma, got, want, err)
		}
	}
}

func TestSecretsAreReadableByTheOwnerAlone(t *testing.T) {
	t.Parallel()
	o := sqlstore.Options{Path: filepath.Join(t.TempDir(), "odd name?#%20", "greenroom.db")}
	s := open(t, o)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(o.Path))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, want database, log, index and lock: %v", len(files), err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

// meddle changes a database that no store has open.
func meddle(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}
