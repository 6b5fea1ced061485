package sqlstore_test

import (
	"path/filepath"
	"testing"

	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/pgtest"
)

// open opens a store in path, and closes it at the end of the test.
func open(t testing.TB, o sqlstore.Options) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func inTemp(t testing.TB) sqlstore.Options {
	return sqlstore.Options{Path: filepath.Join(t.TempDir(), "greenroom.db")}
}

func onServer(t testing.TB) sqlstore.Options {
	t.Helper()
	return sqlstore.Options{URL: pgtest.Start(t)}
}

// databases are where every promise is held, by name.
var databases = map[string]func(t testing.TB) sqlstore.Options{"SQLite": inTemp, "PostgreSQL": onServer}

// onEach runs a test on every database.
func onEach(t *testing.T, test func(t *testing.T, o sqlstore.Options)) {
	t.Helper()
	for name, options := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, options(t))
		})
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, options := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) store.Store { return open(t, options(t)) })
		})
	}
}

func BenchmarkStore(b *testing.B) {
	for name, options := range databases {
		b.Run(name, func(b *testing.B) {
			storetest.Bench(b, func(b *testing.B) store.Store { return open(b, options(b)) })
		})
	}
}
