// Package backup is the form of a backup: a tar file with a manifest first, then the database, the local authority, and
// what was got from other authorities. It is made of files and makes files; what they mean is for others. What it reads is not trusted.
package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"greenroom"
)

// Format is the version of the form that this package writes; it reads no later one. 2 added Others.
const Format = 2

// The members of a backup. The authority's two may be missing together.
const (
	manifestName = "manifest.json"
	Database     = "greenroom.db"
	AuthorityKey = "ca.key"
	Authority    = "ca.pem"
)

// Others are what else may be in a backup, each a file or a directory with files: the ACME account, its certificates and the
// count of its limits, and which certificates are yet to be revoked.
var Others = []string{"acme", "origin-certificates"}

const (
	maxManifest = 4 << 20 // bytes
	maxPEM      = 1 << 20 // bytes of a member that is no database
	maxFiles    = 10_000
	maxName     = 1024 // bytes
)

// known reports whether a backup may have a member of that name. It leads nowhere else.
func known(name string) bool {
	if name == Database || name == AuthorityKey || name == Authority {
		return true
	}
	top, _, _ := strings.Cut(name, "/")
	return len(name) <= maxName && filepath.IsLocal(name) && path.Clean(name) == name && !strings.Contains(name, "\\") && slices.Contains(Others, top)
}

// Manifest says what a backup holds.
type Manifest struct {
	Format  int       `json:"format"`
	MadeAt  time.Time `json:"made_at"` // what was accepted before is in it
	Version string    `json:"version"` // of the program that made it
	Holds   Contents  `json:"holds"`
	Files   []File    `json:"files"`
}

// Contents is what the database holds.
type Contents struct {
	Schema   int64 `json:"schema"`
	Meetings int64 `json:"meetings"`
	Open     int64 `json:"open"`
	Events   int64 `json:"events"`
}

// File is one member.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Write writes a backup of the members that dir holds to w and returns its manifest, which is m with its files.
func Write(ctx context.Context, w io.Writer, m Manifest, dir string) (Manifest, error) {
	m.Format, m.Files = Format, nil
	others, err := otherFiles(dir)
	if err != nil {
		return m, err
	}
	for _, name := range append([]string{Database, AuthorityKey, Authority}, others...) {
		f, err := describe(ctx, dir, name)
		if errors.Is(err, fs.ErrNotExist) && name != Database {
			continue
		}
		if err != nil {
			return m, fmt.Errorf("read %s: %w", name, err)
		}
		m.Files = append(m.Files, f)
	}
	doc, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("write the manifest: %w", err)
	}
	t := tar.NewWriter(w)
	if err := add(t, manifestName, int64(len(doc)), m.MadeAt, bytes.NewReader(doc)); err != nil {
		return m, fmt.Errorf("write the manifest: %w", err)
	}
	for _, f := range m.Files {
		if err := addFile(ctx, t, dir, f, m.MadeAt); err != nil {
			return m, fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	return m, t.Close()
}

// otherFiles are the names of the files below Others, in order.
func otherFiles(dir string) ([]string, error) {
	var names []string
	for _, top := range Others {
		err := fs.WalkDir(os.DirFS(dir), top, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && d.Type().IsRegular() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", top, err)
		}
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("there are more than %d files of certificates", maxFiles)
	}
	return names, nil
}

func describe(ctx context.Context, dir, name string) (File, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &interruptible{ctx, f})
	return File{Name: name, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

func addFile(ctx context.Context, t *tar.Writer, dir string, f File, at time.Time) error {
	r, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	defer r.Close()
	return add(t, f.Name, f.Size, at, &interruptible{ctx, r})
}

func add(t *tar.Writer, name string, size int64, at time.Time, r io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at}); err != nil {
		return err
	}
	_, err := io.Copy(t, r)
	return err
}

// Read extracts the backup in r, of that many bytes, into dir, which must be empty, and returns its manifest. Members
// that do not belong there, that are larger than the file they come from, or that are not what the manifest says
// are a UserError; so is a form that is later than Format. Files are readable by their owner alone.
func Read(ctx context.Context, r io.Reader, size int64, dir string) (Manifest, error) {
	m, err := read(ctx, tar.NewReader(&interruptible{ctx, r}), size, dir)
	switch {
	case err == nil || ctx.Err() != nil:
		return m, errors.Join(err, context.Cause(ctx))
	case errors.Is(err, syscall.ENOSPC):
		err = &greenroom.UserError{Message: fmt.Sprintf("The disk that holds %s is full: free some space. Nothing was changed.", dir), Cause: err}
	default:
		if _, ok := errors.AsType[*greenroom.UserError](err); !ok {
			err = &greenroom.UserError{Message: "This file is not a backup that greenroom made, or it is damaged. Nothing was changed.", Cause: err}
		}
	}
	return m, fmt.Errorf("read the backup: %w", err)
}

func read(ctx context.Context, t *tar.Reader, size int64, dir string) (Manifest, error) {
	m, err := readManifest(t)
	if err != nil {
		return m, err
	}
	var names []string
	for _, want := range m.Files {
		if names = append(names, want.Name); want.Size < 0 || want.Size > size || want.Name != Database && want.Size > maxPEM {
			return m, fmt.Errorf("member %q has an impossible size of %d bytes", want.Name, want.Size)
		}
		h, err := t.Next()
		if err != nil {
			return m, err
		}
		if h.Name != want.Name || h.Typeflag != tar.TypeReg || h.Size != want.Size {
			return m, fmt.Errorf("member %q is not %q as the manifest has it", h.Name, want.Name)
		}
		to := filepath.Join(dir, filepath.FromSlash(want.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), extract(t, to, want)); err != nil {
			return m, err
		}
	}
	if !whole(names) {
		return m, fmt.Errorf("the members are %q", names)
	}
	if _, err := t.Next(); !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("there is more than the manifest has: %w", err)
	}
	return m, ctx.Err()
}

// whole reports whether the members are a backup's: the database, the authority's two or none, and then others.
func whole(names []string) bool {
	rest, ok := cutPrefix(names, Database)
	if !ok {
		return false
	}
	if both, ok := cutPrefix(rest, AuthorityKey, Authority); ok {
		rest = both
	}
	return !slices.ContainsFunc(rest, func(name string) bool { return name == Database || name == AuthorityKey || name == Authority })
}

func cutPrefix(names []string, prefix ...string) ([]string, bool) {
	if len(names) < len(prefix) || !slices.Equal(names[:len(prefix)], prefix) {
		return names, false
	}
	return names[len(prefix):], true
}

func readManifest(t *tar.Reader) (m Manifest, err error) {
	h, err := t.Next()
	if err != nil {
		return m, err
	}
	if h.Name != manifestName || h.Typeflag != tar.TypeReg || h.Size > maxManifest {
		return m, fmt.Errorf("the first member is %q", h.Name)
	}
	if err := json.NewDecoder(io.LimitReader(t, maxManifest)).Decode(&m); err != nil {
		return m, err
	}
	if m.Format > Format {
		return m, &greenroom.UserError{Message: fmt.Sprintf("This backup was made by a newer greenroom (%s, form %d; this one knows %d): use that version or a later one. Nothing was changed.", m.Version, m.Format, Format)}
	}
	if len(m.Files) > maxFiles+3 {
		return m, errors.New("the manifest has too many members")
	}
	for _, f := range m.Files {
		if !known(f.Name) {
			return m, fmt.Errorf("the manifest has a member %q", f.Name)
		}
	}
	return m, nil
}

// extract writes a new file, whole and durable, or returns an error.
func extract(r io.Reader, path string, want File) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), r)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return fmt.Errorf("member %q is not what was written", want.Name)
	}
	return nil
}

// interruptible ends reading with its context.
type interruptible struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.r.Read(p)
}
