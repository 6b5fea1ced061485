package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/pressly/goose/v3"

	"greenroom"
)

//go:embed migrations/*/*.sql
var migrations embed.FS

// selectLowest reads the lowest schema whose program can still work with the schema there is. A migration that only adds
// writes its predecessor's number into the setting schema_compatible, and its own, so that nobody takes it for a later one's
// word, into schema_compatible_of. Without its word none but itself can.
const selectLowest = `select l.value from settings l, settings o where l.name = 'schema_compatible' and o.name = 'schema_compatible_of' and o.value = ?`

// migrate brings the schema up to this program's, the files'. A schema ahead of the program's is left alone if it says
// that it suits the program, and refused if not, before anything is changed.
func (dl *dialect) migrate(ctx context.Context, d *database, files fs.FS) error {
	newer, err := dl.judge(ctx, d, files)
	if err != nil || newer {
		return err
	}
	return dl.exclusive(ctx, d, func() error {
		if newer, err := dl.judge(ctx, d, files); err != nil || newer { // another process may have come first
			return err
		}
		p, err := dl.provider(d, files)
		if err != nil {
			return err
		}
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		return nil
	})
}

// judge reports whether the schema is newer than the program and suits it all the same.
func (dl *dialect) judge(ctx context.Context, d *database, files fs.FS) (newer bool, err error) {
	has, err := dl.schemaVersion(ctx, d.migrator)
	if err != nil {
		return false, fmt.Errorf("read the schema's version: %w", err)
	}
	p, err := dl.provider(d, files)
	if err != nil {
		return false, err
	}
	sources := p.ListSources()
	knows := sources[len(sources)-1].Version
	if err := dl.suits(ctx, d, has); err != nil || has <= knows {
		return false, err
	}
	var lowest int64
	err = d.migrator.QueryRowContext(ctx, dl.bind(selectLowest), strconv.FormatInt(has, 10)).Scan(&lowest)
	if errors.Is(err, sql.ErrNoRows) {
		lowest, err = has, nil
	}
	if err != nil {
		return false, fmt.Errorf("read whom the schema suits: %w", err)
	}
	if lowest > knows {
		return false, &greenroom.UserError{Message: fmt.Sprintf(
			"The database %s was written by a newer greenroom (schema %d, this one knows %d): run that version or a later one. Nothing was changed.", d.where, has, knows)}
	}
	return true, nil
}

func (dl *dialect) provider(d *database, files fs.FS) (*goose.Provider, error) {
	p, err := goose.NewProvider(dl.goose, d.migrator, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// schemaVersion is 0 for a new database. It is not asked of goose, which takes a table it cannot read for a
// table that is not there.
func (dl *dialect) schemaVersion(ctx context.Context, db *sql.DB) (version int64, err error) {
	var tables int
	err = db.QueryRowContext(ctx, dl.bind(dl.tables), "goose_db_version").Scan(&tables)
	if err != nil || tables == 0 {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `select coalesce(max(version_id), 0) from goose_db_version where is_applied`).Scan(&version)
	return version, err
}
