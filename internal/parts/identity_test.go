package parts_test

import (
	"os"
	"path/filepath"
	"testing"

	"greenroom/internal/awsidentity"
	"greenroom/internal/awsidentity/awsidentitytest"
	"greenroom/internal/config"
	"greenroom/internal/parts"
)

func TestIdentifier(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	if f, err := parts.Identifier(cfg); f != nil || err != nil {
		t.Errorf("without EC2: %v", err)
	}
	cfg.Blueprints[0].Provider = "ec2"
	if _, err := parts.Identifier(cfg); err == nil {
		t.Error("EC2 without certificates would never have a desktop")
	}
	cfg.IdentityCerts = filepath.Join(t.TempDir(), "aws.pem")
	if _, err := parts.Identifier(cfg); err == nil {
		t.Error("a file that is not there was read")
	}
	signer := awsidentitytest.New(t)
	for text, good := range map[string]bool{"nothing": false, string(signer.PEM): true} {
		if err := os.WriteFile(cfg.IdentityCerts, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := parts.Identifier(cfg)
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
