package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/testenv/pgtest"
)

// eachDialect gives a test an empty database of each kind.
func eachDialect(t *testing.T, test func(t *testing.T, dl *dialect, o Options)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, sqliteDialect, Options{Path: filepath.Join(t.TempDir(), "greenroom.db")})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, postgresDialect, Options{URL: pgtest.Start(t)})
	})
}

// later is the program's migrations and more, of programs to come.
func later(t *testing.T, dl *dialect, more ...string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	files, err := fs.Sub(migrations, dl.migrations)
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &fstest.MapFile{Data: text}
	}
	for i, text := range more {
		out[fmt.Sprintf("%04d_later.sql", len(names)+i+1)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
	}
	return out
}

// says is the end of a migration that only adds, or breaks.
func says(lowest, of int) string {
	return fmt.Sprintf(`;
insert into settings (name, value) values ('schema_compatible', '%d'), ('schema_compatible_of', '%d') on conflict (name) do update set value = excluded.value;
`, lowest, of)
}

func TestMigrationsOfTheDialectsAreEqual(t *testing.T) {
	t.Parallel()
	names := func(dl *dialect) []string {
		found, err := fs.Glob(migrations, dl.migrations+"/*.sql")
		if err != nil || len(found) == 0 {
			t.Fatal(found, err)
		}
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		return found
	}
	if diff := cmp.Diff(names(sqliteDialect), names(postgresDialect)); diff != "" {
		t.Error(diff)
	}
	columns := map[string][]string{}
	t.Run("Open", func(t *testing.T) {
		for name, c := range map[string]struct {
			options Options
			query   string
		}{
			"SQLite": {Options{Path: filepath.Join(t.TempDir(), "greenroom.db")},
				`select m.name || '.' || c.name from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table'`},
			"PostgreSQL": {Options{URL: pgtest.Start(t)},
				`select table_name || '.' || column_name from information_schema.columns where table_schema = 'public'`},
		} {
			s, err := Open(t.Context(), c.options)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			rows, err := s.readers.QueryContext(t.Context(), c.query)
			found, err := collect(rows, err, func(r *sql.Rows) (string, error) {
				var column string
				return column, r.Scan(&column)
			})
			if err != nil {
				t.Fatal(err)
			}
			found = slices.DeleteFunc(found, func(s string) bool { return strings.HasPrefix(s, "goose_") || strings.HasPrefix(s, "sqlite_") })
			slices.Sort(found)
			columns[name] = found
		}
	})
	if diff := cmp.Diff(columns["SQLite"], columns["PostgreSQL"]); diff != "" || len(columns["SQLite"]) < 20 {
		t.Errorf("columns (-SQLite +PostgreSQL):\n%s", diff)
	}
}

func TestSchemaSaysWhomItSuits(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, dl *dialect, o Options) {
		known, err := fs.Glob(migrations, dl.migrations+"/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		k := len(known)
		adds := "alter table meetings add column note text" + says(k, k+1)
		addsMore := "create table notes (id text)" + says(k, k+2)
		breaks := "alter table meetings drop column note" + says(k+3, k+3)
		silent := "create table more (id text);"
		with := func(more ...string) (*Store, error) { return openWith(t.Context(), o, dl, later(t, dl, more...)) }
		opens := func(what string, more ...string) *Store {
			t.Helper()
			s, err := with(more...)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			return s
		}
		closes := func(s *Store) {
			t.Helper()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		opensAndWorks := func(what string, more ...string) {
			t.Helper()
			s := opens(what, more...)
			defer closes(s)
			if _, _, err := s.Create(t.Context(), greenroom.Meeting{ID: greenroom.NewMeetingID()}, nil, store.Idempotency{}); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		refused := func(what string, schema int, more ...string) {
			t.Helper()
			s, err := with(more...)
			if err == nil {
				closes(s)
				t.Fatalf("%s opened", what)
			}
			if ue, ok := errors.AsType[*greenroom.UserError](err); !ok || !strings.Contains(ue.Message, fmt.Sprintf("schema %d", schema)) || !strings.Contains(ue.Message, "Nothing was changed") {
				t.Errorf("%s: %v", what, err)
			}
		}

		opensAndWorks("the program of today")
		opensAndWorks("a program that adds", adds)
		opensAndWorks("the program of today on what was added to")
		opensAndWorks("a program that adds twice", adds, addsMore)
		opensAndWorks("the program between", adds)
		opensAndWorks("the program of today, two behind")
		opensAndWorks("a program that breaks", adds, addsMore, breaks)
		refused("the program of today on what was broken", k+3)
		refused("the program that added", k+3, adds, addsMore)
		opensAndWorks("the program that broke", adds, addsMore, breaks)
		opensAndWorks("a program that says nothing", adds, addsMore, breaks, silent)
		refused("the program before it", k+4, adds, addsMore, breaks)
	})
}

func TestSilentNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, dl *dialect, o Options) {
		s, err := openWith(t.Context(), o, dl, later(t, dl, "create table more (id text);"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(t.Context(), o); err == nil {
			s.Close()
			t.Error("it opened")
		}
	})
}

func TestOldServersAreRefused(t *testing.T) {
	t.Parallel()
	for version, suits := range map[int]bool{120022: false, 130000: true, 180001: true} {
		err := judgeServer("postgres://x", serverFacts{version: version, schema: "public", create: true, apart: true}, 0)
		if (err == nil) != suits {
			t.Errorf("version %d: %v", version, err)
		}
	}
}
