package meetings_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/awsidentity"
	"greenroom/internal/awsidentity/awsidentitytest"
	"greenroom/internal/meetings"
)

// TestMachinesOnEC2ShowWhoTheyAre has a thief with the right secret on machines of many kinds.
func TestMachinesOnEC2ShowWhoTheyAre(t *testing.T) {
	t.Parallel()
	aws, other := awsidentitytest.New(t), awsidentitytest.New(t)
	verifier, err := awsidentity.New(aws.PEM)
	if err != nil {
		t.Fatal(err)
	}
	good := awsidentity.Document{InstanceID: "i-0123456789abcdef0", AccountID: "123456789012", Region: "eu-central-1", PendingTime: time.Now()}
	for name, c := range map[string]struct {
		signer *awsidentitytest.Signer
		change func(*awsidentity.Document, *agentapi.Enrolment)
		says   string // on the timeline; empty: it enrols
	}{
		"the machine itself":          {aws, func(*awsidentity.Document, *agentapi.Enrolment) {}, ""},
		"another machine":             {aws, func(d *awsidentity.Document, _ *agentapi.Enrolment) { d.InstanceID = "i-0fedcba9876543210" }, "An enrolment with another machine's identity document was refused."},
		"of another account":          {aws, func(d *awsidentity.Document, _ *agentapi.Enrolment) { d.AccountID = "999999999999" }, "An enrolment from another AWS account was refused."},
		"from long ago":               {aws, func(d *awsidentity.Document, _ *agentapi.Enrolment) { d.PendingTime = time.Now().Add(-time.Hour) }, "An enrolment with an identity document of another time was refused."},
		"signed by somebody":          {other, func(*awsidentity.Document, *agentapi.Enrolment) {}, "An enrolment was refused: AWS did not sign its identity document."},
		"that only says what it is":   {nil, func(*awsidentity.Document, *agentapi.Enrolment) {}, "An enrolment without an identity document was refused."},
		"that says it is another one": {aws, func(_ *awsidentity.Document, in *agentapi.Enrolment) { in.InstanceID = "i-0fedcba9876543210" }, "An enrolment with a spent secret or from another machine was refused."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.Account = func() string { return "123456789012" }
			b.Identify = func(document, signature string) (meetings.MachineIdentity, error) {
				d, err := verifier.Verify(document, signature)
				return meetings.MachineIdentity{InstanceID: d.InstanceID, Account: d.AccountID, Region: d.Region, Since: d.PendingTime}, err
			}
			m := b.stand(b.schedule().ID, "teacher", greenroom.Booting)
			m = b.alter(m.ID, func(m *greenroom.Meeting) {
				m.Blueprint.Provider = "ec2"
				m.Seat("teacher").Desktop.Timings[greenroom.Launching] = time.Now()
			})
			text, err := b.UserData(&m, m.Seat("teacher"))
			if err != nil {
				t.Fatal(err)
			}
			var data agentapi.UserData
			if err := json.Unmarshal(text, &data); err != nil {
				t.Fatal(err)
			}
			document := good
			in := agentapi.Enrolment{InstanceID: good.InstanceID, CertificateRequest: certificateRequest(t)}
			c.change(&document, &in)
			if c.signer != nil {
				in.IdentityDocument, in.IdentitySignature = c.signer.Sign(t, document)
			}
			_, err = b.Enrol(t.Context(), data.Secret, in)
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			events, _ := b.Events(t.Context(), m.ID, 0, 100)
			if last := events[len(events)-1]; !errors.Is(err, greenroom.ErrForbidden) || last.Kind != greenroom.EventRefused || last.Message != c.says {
				t.Errorf("error %v, the timeline says %q", err, last.Message)
			}
			if got, _ := b.Meeting(t.Context(), m.ID); got.Seat("teacher").Desktop.Agent.KeyHash != "" {
				t.Error("it enrolled all the same")
			}
		})
	}
}
