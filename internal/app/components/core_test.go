package components_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/app/components"
	"greenroom/internal/awsidentity"
	"greenroom/internal/awsidentity/awsidentitytest"
	"greenroom/internal/certs/certstest"
	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/dns"
	"greenroom/internal/meetings"
	"greenroom/internal/probe"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/testenv/ec2test"
)

// unasked is the zone of machines that do not run yet: nothing is asked of it.
type unasked struct {
	dns.Zone
	dns.Texts
}

// serverCore is a core as a server builds it, with its desktops on EC2.
func serverCore(t *testing.T, machines *ec2test.Server, identity []byte) *components.Core {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	api := httptest.NewServer(machines)
	t.Cleanup(api.Close)
	cfg := config.Default()
	cfg.DataDir, cfg.AWS.Region, cfg.AWS.Endpoint = t.TempDir(), "eu-west-1", api.URL
	cfg.IdentityCerts = filepath.Join(cfg.DataDir, "aws.pem")
	if err := os.WriteFile(cfg.IdentityCerts, identity, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Blueprints[0].Provider, cfg.Blueprints[0].EC2 = "ec2", greenroom.EC2{Image: ec2test.Image, InstanceTypes: []string{"t3.large"}, Subnets: []string{ec2test.SubnetA}, SecurityGroups: []string{ec2test.Group}}
	store, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(cfg.DataDir, "greenroom.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	logger, account := slog.New(slog.DiscardHandler), components.AWS(cfg)
	core, err := components.Open(t.Context(), components.Ports{
		Config: cfg, Logger: logger, Store: store, Secrets: components.Secrets(account, logger), Account: account, Kick: func(string) {},
		PublicURL: "https://meet.example.com", ControlURL: "https://meet.example.com", Probe: probe.Options{Port: greenroom.DesktopPort, DNSServers: []string{"127.0.0.1:1"}},
		Zone:      func(context.Context, string) (components.OwnZone, error) { return unasked{}, nil },
		Authority: func(context.Context) (*localca.Authority, error) { return localca.Open(cfg.DataDir, cfg.Zone) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(core.Certificates.Close)
	return core
}

// TestAServerComparesTheAccountOfMachines with the one to which the machine belongs that EC2 started for it.
func TestAServerComparesTheAccountOfMachines(t *testing.T) {
	signer := awsidentitytest.New(t)
	core := serverCore(t, &ec2test.Server{Boot: time.Hour}, signer.PEM)
	m, _, err := core.Service.Schedule(t.Context(), meetings.Schedule{Title: "Algebra", StartsAt: "now"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := core.Advancer.Advance(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	if m, err = core.Service.Meeting(t.Context(), m.ID); err != nil || m.Seats[0].Desktop.InstanceID == "" {
		t.Fatalf("no machine was started: %+v, %v", m.Seats[0].Desktop, err)
	}
	text, err := core.Service.UserData(&m, &m.Seats[0])
	if err != nil {
		t.Fatal(err)
	}
	enrol := func(account string) error {
		desktop := &m.Seats[0].Desktop
		in := agentapi.Enrolment{InstanceID: desktop.InstanceID, CertificateRequest: string(certstest.Request(t, certstest.ECKey(t), desktop.Hostname))}
		in.IdentityDocument, in.IdentitySignature = signer.Sign(t, awsidentity.Document{
			InstanceID: desktop.InstanceID, AccountID: account, Region: "eu-west-1", PendingTime: time.Now(),
		})
		_, err := core.Service.Enrol(t.Context(), secretOf(t, text), in)
		return err
	}
	if err := enrol("999999999999"); !errors.Is(err, greenroom.ErrForbidden) {
		t.Errorf("a machine of another account enrolled: %v", err)
	}
	if err := enrol(ec2test.Account); err != nil {
		t.Errorf("the machine itself was refused: %v", err)
	}
}

func secretOf(t *testing.T, userData []byte) string {
	t.Helper()
	var data agentapi.UserData
	if err := json.Unmarshal(userData, &data); err != nil {
		t.Fatal(err)
	}
	return data.Secret
}
