package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/config"
)

func TestADatabaseThatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "database")
	if err := os.WriteFile(file, []byte("mysql://x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for database, says := range map[string]string{
		"":                       "",
		"file:/nowhere/database": "database: the file /nowhere/database cannot be read",
		"file:" + file:           "database: must begin with postgres://",
	} {
		cfg := config.Default()
		cfg.DataDir, cfg.Database = t.TempDir(), config.Secret(database)
		a := &app{Options: Options{Config: cfg, Logger: slog.New(slog.DiscardHandler)}}
		err := a.openSecrets(t.Context())
		if got := greenroom.Sentence(err, fmt.Sprint(err)); (err == nil) != (says == "") || !strings.Contains(got, says) {
			t.Errorf("%q: got %q, %v", database, got, err)
		}
	}
}

func TestThereIsNothingToTrustWhereOthersSign(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir, cfg.Certificates.Issuer = t.TempDir(), "acme"
	err := Trust(t.Context(), cfg, t.TempDir(), false, io.Discard)
	if !strings.Contains(greenroom.Sentence(err, fmt.Sprint(err)), "nothing to trust") {
		t.Errorf("%v", err)
	}
	if made, err := os.ReadDir(cfg.DataDir); err != nil || len(made) > 0 {
		t.Errorf("%v was made, %v", made, err)
	}
}
