package acmecerts

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

// Files keeps what is otherwise kept in Dir: account, certificates, locks and count. Names are paths with slashes; the error
// for one that is not there is fs.ErrNotExist. A lock is held by one of all who share the files.
type Files interface {
	Store(ctx context.Context, name string, content []byte) error
	Load(ctx context.Context, name string) (content []byte, modified time.Time, err error)
	Delete(ctx context.Context, name string) error                          // a file, or all below a directory
	List(ctx context.Context, directory string) (names []string, err error) // at any depth
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// storage is Files for certmagic.
type storage struct{ Files }

var _ certmagic.Storage = storage{}

// Load implements certmagic.Storage.
func (s storage) Load(ctx context.Context, key string) ([]byte, error) {
	content, _, err := s.Files.Load(ctx, key)
	return content, err
}

// Exists implements certmagic.Storage.
func (s storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements certmagic.Storage.
func (s storage) List(ctx context.Context, directory string, recursive bool) ([]string, error) {
	names, err := s.Files.List(ctx, directory)
	if err != nil || recursive {
		return names, err
	}
	var out []string
	seen := map[string]bool{}
	for _, name := range names {
		first, _, _ := strings.Cut(strings.TrimPrefix(name, directory+"/"), "/")
		if !seen[first] {
			seen[first] = true
			out = append(out, path.Join(directory, first))
		}
	}
	return out, nil
}

// Stat implements certmagic.Storage.
func (s storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	content, modified, err := s.Files.Load(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: modified, Size: int64(len(content)), IsTerminal: true}, nil
	}
	if below, listErr := s.Files.List(ctx, key); listErr == nil && len(below) > 0 {
		return certmagic.KeyInfo{Key: key}, nil
	}
	return certmagic.KeyInfo{}, err
}
