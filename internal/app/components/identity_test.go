package components_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greenroom/internal/app/components"
	"greenroom/internal/awsidentity"
	"greenroom/internal/awsidentity/awsidentitytest"
	"greenroom/internal/config"
)

func TestIdentifier(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	if f, err := components.Identifier(cfg); f != nil || err != nil {
		t.Errorf("without EC2: %v", err)
	}
	cfg.Blueprints[0].Provider = "ec2"
	if _, err := components.Identifier(cfg); err == nil {
		t.Error("EC2 without certificates would never have a desktop")
	}
	cfg.IdentityCerts = filepath.Join(t.TempDir(), "aws.pem")
	if _, err := components.Identifier(cfg); err == nil {
		t.Error("a file that is not there was read")
	}
	signer := awsidentitytest.New(t)
	for text, good := range map[string]bool{"nothing": false, string(signer.PEM): true} {
		if err := os.WriteFile(cfg.IdentityCerts, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := components.Identifier(cfg)
		if (err == nil) != good {
			t.Fatalf("%.20q: %v", text, err)
		}
		if good {
			if got, err := f(signer.Sign(t, awsidentity.Document{InstanceID: "i-1", AccountID: "2"})); err != nil || got.InstanceID != "i-1" || got.Account != "2" {
				t.Errorf("%+v %v", got, err)
			}
		}
	}
}

// TestARegionIsAddedWhileTheServerRuns changes the file under the server.
func TestARegionIsAddedWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.IdentityCerts = filepath.Join(t.TempDir(), "aws.pem")
	first, second := awsidentitytest.New(t), awsidentitytest.New(t)
	at := time.Now().Add(-time.Hour)
	write := func(text []byte) {
		t.Helper()
		at = at.Add(time.Minute)
		if err := errors.Join(os.WriteFile(cfg.IdentityCerts, text, 0o600), os.Chtimes(cfg.IdentityCerts, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	write(first.PEM)
	identify, err := components.Identifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	knows := func(s *awsidentitytest.Signer) bool {
		_, err := identify(s.Sign(t, awsidentity.Document{InstanceID: "i-1"}))
		return err == nil
	}
	if !knows(first) || knows(second) {
		t.Error("it does not know the first region alone")
	}
	write(append(append([]byte{}, first.PEM...), second.PEM...))
	if !knows(first) || !knows(second) {
		t.Error("the second region is not known")
	}
	write([]byte("half a fi"))
	if !knows(first) || !knows(second) {
		t.Error("a file that is being written takes what was known away")
	}
}
