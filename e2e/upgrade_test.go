package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// nextSchema is the one after this version's.
const nextSchema = 4

// nextStep is a migration that a later version may bring: it only adds, and says that this version can go on.
var nextStep = fmt.Sprintf(`-- +goose Up
alter table meetings add column note text;
create index meetings_by_note on meetings (note) where note is not null;
insert into settings (name, value) values ('schema_compatible', '%d'), ('schema_compatible_of', '%d') on conflict (name) do update set value = excluded.value;
-- +goose Down
drop index meetings_by_note;
alter table meetings drop column note;
`, nextSchema-1, nextSchema)

// buildNext builds this program as its next version would be: with one more migration.
func buildNext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	step := filepath.Join(dir, "step.sql")
	if err := os.WriteFile(step, []byte(nextStep), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for _, dialect := range []string{"sqlite", "postgres"} {
		replace[filepath.Join(root, "internal/store/sqlstore/migrations", dialect, fmt.Sprintf("%04d_next.sql", nextSchema))] = step
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	overlay := filepath.Join(dir, "overlay.json")
	if err != nil || os.WriteFile(overlay, text, 0o600) != nil {
		t.Fatal("the overlay could not be written")
	}
	next := filepath.Join(dir, "greenroom")
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", next, "greenroom/cmd/greenroom").CombinedOutput(); err != nil {
		t.Fatalf("build the next version: %v\n%s", err, out)
	}
	return next
}

// TestRollingUpgrade replaces replicas one by one with their next version, which migrates the database, while
// meetings are held. The old ones go on, may even start again, and one of the new is taken back.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	next := buildNext(t)
	c := newCluster(t)
	c.startAll()
	c.load(t, func() {
		for _, step := range []struct {
			node  int
			built string
		}{{0, next}, {1, binary}, {1, next}, {2, next}, {0, binary}} {
			after(2 * time.Second)
			n := c.nodes[step.node]
			n.stop()
			n.built = step.built
			n.start()
		}
	})
	c.nothingKept(t)
	if n := c.count(t, "select max(version_id) from goose_db_version"); n != nextSchema {
		t.Errorf("schema %d: the next version has not migrated it", n)
	}
}
