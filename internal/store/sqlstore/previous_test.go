package sqlstore_test

import (
	"database/sql"
	_ "embed"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store/sqlstore"
)

// withRiver is the database of the last version that kept River's jobs, with one meeting and the job of its wake.
//
//go:embed testdata/with_river.sql
var withRiver string

// TestDatabaseWithRiversTables opens it, uses it, and leaves River's tables and the number of the job alone: while replicas
// are replaced one by one, the version before still reads both.
func TestDatabaseWithRiversTables(t *testing.T) {
	t.Parallel()
	o := inTemp(t)
	meddle(t, o.Path, withRiver)
	s, err := sqlstore.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	due, err := s.Due(t.Context(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("%v, %v", due, err)
	}
	m, err := s.Meeting(t.Context(), due[0].Meeting)
	if err != nil || m.Title != "Kept" || !m.WakeAt.Equal(due[0].At) || len(m.Seats) == 0 || m.Seats[0].Name != "Ada" {
		t.Fatalf("%+v, %v", m, err)
	}
	m.WakeAt = m.WakeAt.Add(time.Hour)
	if m, err = s.Update(t.Context(), m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventPhase}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", o.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var job, wake, jobs int64
	err = db.QueryRowContext(t.Context(), `select wake_job, wake_at, (select count(*) from river_job) from meetings`).Scan(&job, &wake, &jobs)
	if err != nil || job == 0 || jobs != 1 || wake != m.WakeAt.UnixMicro() {
		t.Errorf("job %d of %d, wake %d; %v", job, jobs, wake, err)
	}
}
