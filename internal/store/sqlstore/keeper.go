package sqlstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
)

// errReplaced is why nothing is written: what is written would be gone with this process.
var errReplaced = errors.New("the database file was removed or replaced")

// watched are the endings of the files that SQLite has open.
var watched = []string{"", "-wal", "-shm"}

// stampAt is where SQLite keeps the number that user_version sets, in the first page of the file.
const stampAt = 60

// keeper knows which files the database had when it was opened, and notices when others are there. SQLite does not: it goes
// on with the file that nobody finds any more.
type keeper struct {
	path string
	// file is never closed before SQLite's own: closing any of a process takes away its locks on the file.
	file *os.File

	mu    sync.Mutex
	files map[string]os.FileInfo // by ending, as first seen
	stamp uint32                 // in the first page of the file; 0 until it was seen there
	wants uint32
}

func newKeeper(path string) (*keeper, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &keeper{path: path, file: f, files: map[string]os.FileInfo{"": info}}, nil
}

// mark writes a number of this process into the file, so that a copy that somebody writes over it is noticed, too.
func (k *keeper) mark(ctx context.Context, db *sql.DB) error {
	stamp := rand.Uint32()>>1 | 1 //nolint:gosec // no secret; user_version is signed, and 0 means unset
	if _, err := db.ExecContext(ctx, fmt.Sprint("pragma user_version = ", stamp)); err != nil {
		return fmt.Errorf("mark the database: %w", err)
	}
	// The mark is to be found in the file itself. Somebody who reads, such as a backup, may be in the way: then it will be later.
	if _, err := db.ExecContext(ctx, "pragma wal_checkpoint(truncate)"); err != nil {
		return fmt.Errorf("mark the database: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wants = stamp
	return nil
}

// intact reports whether the files are those that SQLite has open. It costs a few microseconds.
func (k *keeper) intact() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, ending := range watched {
		if err := k.same(ending); err != nil {
			return err
		}
	}
	var number [4]byte
	if _, err := k.file.ReadAt(number[:], stampAt); err != nil {
		if k.stamp != 0 {
			return fmt.Errorf("%w: it was cut off", errReplaced)
		}
		return nil // it is new, and all of it is in the log
	}
	switch is := binary.BigEndian.Uint32(number[:]); {
	case is == k.wants:
		k.stamp = is
	case k.stamp != 0:
		return fmt.Errorf("%w: it was written over", errReplaced)
	}
	return nil
}

func (k *keeper) same(ending string) error {
	first, known := k.files[ending]
	now, err := os.Stat(k.path + ending)
	switch {
	case err == nil && !known:
		k.files[ending] = now
	case err == nil && !os.SameFile(first, now):
		return fmt.Errorf("%w: %s is another file", errReplaced, k.path+ending)
	case errors.Is(err, fs.ErrNotExist) && known:
		return fmt.Errorf("%w: %s is not there", errReplaced, k.path+ending)
	}
	return nil // other errors are SQLite's to tell
}

func (k *keeper) release() error {
	if k == nil {
		return nil
	}
	return k.file.Close()
}

// Intact reports whether the files of the database are those that this process opened, as an error for people if not. Then no
// write is accepted. On a server it is nil.
func (s *Store) Intact() error {
	if s.keeper == nil {
		return nil
	}
	return s.explain(context.Background(), s.keeper.intact())
}

// prime opens all reading connections: one that was opened later might open another file.
func prime(ctx context.Context, db *sql.DB) error {
	for range readConnections {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.ExecContext(ctx, "select 1 from sqlite_master limit 1"); err != nil {
			return err
		}
	}
	return nil
}
