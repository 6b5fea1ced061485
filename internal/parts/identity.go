package parts

import (
	"os"

	"greenroom"
	"greenroom/internal/awsidentity"
	"greenroom/internal/config"
	"greenroom/internal/meetings"
)

// Identifier checks the identity documents of machines on EC2, with the certificates that the configuration names. It is nil if
// there are none, which is a fault as soon as there is a blueprint whose machines must show one.
func Identifier(cfg config.Config) (func(document, signature string) (meetings.MachineIdentity, error), error) {
	if cfg.IdentityCerts == "" {
		for _, b := range cfg.Blueprints {
			if b.Provider == "ec2" && b.Reports() {
				return nil, &greenroom.UserError{Message: "Desktops on EC2 show who they are by a document that AWS signs: put AWS's RSA-2048 certificates of your regions " +
					"(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/regions-certs.html) into a file and name it in identity_certificates."}
			}
		}
		return nil, nil //nolint:nilnil // no machine has to show anything
	}
	text, err := os.ReadFile(cfg.IdentityCerts)
	if err != nil {
		return nil, &greenroom.UserError{Message: "The file of identity_certificates cannot be read.", Cause: err}
	}
	verifier, err := awsidentity.New(text)
	if err != nil {
		return nil, &greenroom.UserError{Message: "The file of identity_certificates holds no certificates in PEM form.", Cause: err}
	}
	return func(document, signature string) (meetings.MachineIdentity, error) {
		d, err := verifier.Verify(document, signature)
		return meetings.MachineIdentity{InstanceID: d.InstanceID, Account: d.AccountID, Region: d.Region, Since: d.PendingTime}, err
	}, nil
}
