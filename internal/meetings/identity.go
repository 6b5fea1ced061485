package meetings

import (
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// MachineIdentity is what a cloud says of a machine, under its signature.
type MachineIdentity struct {
	InstanceID string
	Account    string
	Region     string
	Since      time.Time // when it was launched, or started again
}

// clockSkew is how far the clocks of machines and of their cloud may be apart.
const clockSkew = 5 * time.Minute

// impostor says why an enrolment is not that of the machine that was launched for the desktop, "" if nothing speaks against
// it. Machines on EC2 must show the document that AWS signed for them; others have none.
func (s *Service) impostor(m *greenroom.Meeting, d *greenroom.Desktop, in agentapi.Enrolment, now time.Time) string {
	if m.Blueprint.Provider != greenroom.ProviderEC2 {
		return ""
	}
	if s.Identify == nil {
		return "An enrolment was refused: this server has no certificates to check identity documents with (identity_certificates)."
	}
	if in.IdentityDocument == "" {
		return "An enrolment without an identity document was refused."
	}
	id, err := s.Identify(in.IdentityDocument, in.IdentitySignature)
	launched := d.Timings[greenroom.Launching]
	switch {
	case err != nil:
		return "An enrolment was refused: AWS did not sign its identity document."
	case id.InstanceID != d.InstanceID:
		return "An enrolment with another machine's identity document was refused."
	case s.foreign(id.Account):
		return "An enrolment from another AWS account was refused."
	case id.Since.Before(launched.Add(-clockSkew)) || id.Since.After(now.Add(clockSkew)):
		return "An enrolment with an identity document of another time was refused."
	}
	return ""
}

// foreign reports whether an account is known not to be the one of our machines.
func (s *Service) foreign(account string) bool {
	if s.Account == nil {
		return false
	}
	ours := s.Account()
	return ours != "" && account != ours
}
