package backup_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/backup"
)

var members = map[string]string{backup.Database: strings.Repeat("meetings ", 5000), backup.AuthorityKey: "key", backup.Authority: "certificate"}

// wrote is a backup of the members with those names.
func wrote(t *testing.T, names ...string) ([]byte, backup.Manifest) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(members[name]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	m, err := backup.Write(t.Context(), &out, backup.Manifest{MadeAt: time.Now().UTC(), Version: "v1", Holds: backup.Contents{Schema: 1, Meetings: 2}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), m
}

func read(t *testing.T, doc []byte) (string, backup.Manifest, error) {
	t.Helper()
	dir := t.TempDir()
	m, err := backup.Read(t.Context(), bytes.NewReader(doc), int64(len(doc)), dir)
	return dir, m, err
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{backup.Database}, {backup.Database, backup.AuthorityKey, backup.Authority}} {
		doc, want := wrote(t, names...)
		dir, got, err := read(t, doc)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatalf("%v %s", err, diff)
		}
		found, err := os.ReadDir(dir)
		if err != nil || len(found) != len(names) {
			t.Fatalf("%v %v", found, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(dir, name))
			info, err2 := os.Stat(filepath.Join(dir, name))
			if err != nil || err2 != nil || string(text) != members[name] || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v %d bytes, mode %v", name, err, err2, len(text), info.Mode())
			}
		}
	}
}

// member is one entry of a tar file made by somebody who means no good.
type member struct {
	header tar.Header
	text   string
}

func made(t *testing.T, all ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range all {
		if m.header.Size == 0 {
			m.header.Size = int64(len(m.text))
		}
		if m.header.Typeflag == 0 {
			m.header.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&m.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.text)); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close() // a member that is shorter than announced is part of some attacks
	return out.Bytes()
}

func manifest(t *testing.T, format int, files ...backup.File) member {
	t.Helper()
	doc, err := json.Marshal(backup.Manifest{Format: format, Version: "v9", Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return member{tar.Header{Name: "manifest.json"}, string(doc)}
}

func file(name, text string) backup.File {
	sum := sha256.Sum256([]byte(text))
	return backup.File{Name: name, Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:])}
}

// TestHostileFilesAreRefused wants a sentence for each, and nothing outside the directory.
func TestHostileFilesAreRefused(t *testing.T) {
	t.Parallel()
	good, _ := wrote(t, backup.Database, backup.AuthorityKey, backup.Authority)
	db := member{tar.Header{Name: backup.Database}, "db"}
	flipped := bytes.Replace(good, []byte("meetings meetings"), []byte("meetings MEETINGS"), 1)
	for name, c := range map[string]struct {
		doc []byte
		say string
	}{
		"empty":              {nil, "damaged"},
		"no tar":             {[]byte(strings.Repeat("no tar. ", 1000)), "damaged"},
		"cut short":          {good[:len(good)/2], "damaged"},
		"a flipped bit":      {flipped, "damaged"},
		"no manifest":        {made(t, db), "damaged"},
		"a later form":       {made(t, manifest(t, 3, file(backup.Database, "db")), db), "newer greenroom (v9, form 3"},
		"no database":        {made(t, manifest(t, 1)), "damaged"},
		"only a key":         {made(t, manifest(t, 1, file(backup.AuthorityKey, "k")), member{tar.Header{Name: backup.AuthorityKey}, "k"}), "damaged"},
		"a path":             {made(t, manifest(t, 1, file("../escaped", "x")), member{tar.Header{Name: "../escaped"}, "x"}), "damaged"},
		"another path":       {made(t, manifest(t, 1, file(backup.Database, "db")), member{tar.Header{Name: "../" + backup.Database}, "db"}), "damaged"},
		"out by acme":        {made(t, manifest(t, 2, file(backup.Database, "db"), file("acme/../../escaped", "x")), db, member{tar.Header{Name: "acme/../../escaped"}, "x"}), "damaged"},
		"what it has not":    {made(t, manifest(t, 2, file(backup.Database, "db"), file("desktops/x", "x")), db, member{tar.Header{Name: "desktops/x"}, "x"}), "damaged"},
		"a link":             {made(t, manifest(t, 1, file(backup.Database, "")), member{tar.Header{Name: backup.Database, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""}), "damaged"},
		"twice":              {made(t, manifest(t, 1, file(backup.Database, "db"), file(backup.Database, "db")), db, db), "damaged"},
		"more than it says":  {made(t, manifest(t, 1, file(backup.Database, "db")), db, member{tar.Header{Name: "extra"}, "x"}), "damaged"},
		"a huge key":         {made(t, manifest(t, 1, file(backup.AuthorityKey, strings.Repeat("k", 2<<20))), member{tar.Header{Name: backup.AuthorityKey}, strings.Repeat("k", 2<<20)}), "damaged"},
		"larger than itself": {made(t, manifest(t, 1, backup.File{Name: backup.Database, Size: 1 << 40}), member{tar.Header{Name: backup.Database, Size: 1 << 40}, "db"}), "damaged"},
		"a huge manifest":    {made(t, member{tar.Header{Name: "manifest.json"}, strings.Repeat(" ", 5<<20)}), "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _, err := read(t, c.doc)
			if _, ok := errors.AsType[*greenroom.UserError](err); !ok || !strings.Contains(greenroom.Sentence(err, ""), c.say) || !strings.Contains(err.Error(), "Nothing was changed") {
				t.Errorf("%v", err)
			}
			if around, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(around) != 1 {
				t.Errorf("beside the directory: %v %v", around, err)
			}
		})
	}
}
