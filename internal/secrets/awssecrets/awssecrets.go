// Package awssecrets reads secrets from AWS Secrets Manager.
package awssecrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"greenroom"
	"greenroom/internal/secrets"
)

// Manager reads secrets.
type Manager struct {
	config func(ctx context.Context) (aws.Config, error)
}

var _ secrets.Manager = (*Manager)(nil)

// New returns a manager. It calls config, which tells credentials and region, when a secret is read.
func New(config func(ctx context.Context) (aws.Config, error)) *Manager {
	return &Manager{config: config}
}

// Read returns the present value of a secret; see secrets.Manager. name may be an ARN, of any region.
func (m *Manager) Read(ctx context.Context, name, jsonKey string) (string, error) {
	cfg, err := m.config(ctx)
	if err != nil {
		return "", err
	}
	if part := strings.Split(name, ":"); len(part) > 4 && part[0] == "arn" {
		cfg.Region = part[3]
	}
	if cfg.Region == "" {
		return "", userError(greenroom.ErrPermanent, "AWS needs a region to find the secret %s in: set aws.region or AWS_REGION, or give the secret's ARN.", name)
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return "", explain(err, name, cfg.Region)
	}
	if out.SecretString == nil {
		return "", userError(greenroom.ErrPermanent, "the secret %s of AWS Secrets Manager is binary; store it as text.", name)
	}
	if jsonKey == "" {
		return *out.SecretString, nil
	}
	return pick(*out.SecretString, name, jsonKey)
}

// pick returns one value of a secret that is a JSON object. Its errors quote nothing of it.
func pick(text, name, jsonKey string) (string, error) {
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return "", userError(greenroom.ErrPermanent, "the secret %s of AWS Secrets Manager is not a JSON object, so it has no key %s.", name, jsonKey)
	}
	switch value := object[jsonKey].(type) {
	case string:
		return value, nil
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64), nil
	default:
		return "", userError(greenroom.ErrPermanent, "the secret %s of AWS Secrets Manager has no text under the key %s.", name, jsonKey)
	}
}

func explain(err error, name, region string) error {
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return userError(errors.Join(greenroom.ErrNotFound, err), "AWS Secrets Manager has no secret %s in %s: make it, or correct its name, aws.region or AWS_REGION.", name, region)
	}
	answer, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return userError(errors.Join(greenroom.ErrUnavailable, err), "AWS Secrets Manager cannot be asked for %s in %s: look at the credentials of AWS and at this machine's outbound network.", name, region)
	}
	switch answer.ErrorCode() {
	case "AccessDeniedException", "AccessDenied":
		return userError(errors.Join(greenroom.ErrPermanent, err), "AWS does not let this machine read the secret %s: allow secretsmanager:GetSecretValue for it, and kms:Decrypt if it has a key of its own.", name)
	case "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException", "InvalidSignatureException":
		return userError(errors.Join(greenroom.ErrPermanent, err), "AWS does not accept this machine's credentials (%s): renew them.", answer.ErrorCode())
	case "ThrottlingException", "LimitExceededException":
		return userError(errors.Join(greenroom.ErrThrottled, err), "AWS Secrets Manager answers no more calls for now; start again in a minute.")
	case "DecryptionFailure":
		return userError(errors.Join(greenroom.ErrPermanent, err), "AWS cannot decrypt the secret %s: look at its KMS key.", name)
	}
	return userError(err, "AWS Secrets Manager did not give the secret %s: %s.", name, answer.ErrorCode())
}

func userError(cause error, format string, args ...any) error {
	return &greenroom.UserError{Message: fmt.Sprintf(format, args...), Cause: cause}
}
