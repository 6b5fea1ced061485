package awssecrets_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"greenroom"
	"greenroom/internal/secrets"
	"greenroom/internal/secrets/awssecrets"
	"greenroom/internal/testenv/moto"
)

func at(endpoint string) func(context.Context) (aws.Config, error) { return in("us-west-2", endpoint) }

func in(region, endpoint string) func(context.Context) (aws.Config, error) {
	return func(context.Context) (aws.Config, error) {
		return aws.Config{Region: region, BaseEndpoint: aws.String(endpoint), RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", "")}, nil
	}
}

func TestMoto(t *testing.T) {
	t.Parallel()
	endpoint := moto.Start(t)
	cfg, err := at(endpoint)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	owner := secretsmanager.NewFromConfig(cfg)
	plain, err := owner.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("greenroom/plain"), SecretString: aws.String("hunter2")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("greenroom/json"), SecretString: aws.String(`{"token":"t-1","port":5432,"deep":{}}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("greenroom/binary"), SecretBinary: []byte{1, 2}}); err != nil {
		t.Fatal(err)
	}
	m := awssecrets.New(at(endpoint))
	for _, c := range []struct{ name, key, want, says string }{
		{"greenroom/plain", "", "hunter2", ""},
		{*plain.ARN, "", "hunter2", ""},
		{"greenroom/json", "token", "t-1", ""},
		{"greenroom/json", "port", "5432", ""},
		{"greenroom/json", "deep", "", "no text under the key deep"},
		{"greenroom/json", "none", "", "no text under the key none"},
		{"greenroom/plain", "token", "", "is not a JSON object"},
		{"greenroom/binary", "", "", "is binary"},
		{"greenroom/none", "", "", "has no secret greenroom/none in us-west-2"},
	} {
		got, err := m.Read(t.Context(), c.name, c.key)
		if sentence := greenroom.Sentence(err, ""); got != c.want || !strings.Contains(sentence, c.says) || (err == nil) != (c.says == "") {
			t.Errorf("%s#%s: got %q, %q (%v)", c.name, c.key, got, sentence, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the secret is in %v", err)
		}
	}

	v, err := secrets.New(secrets.Options{AWS: m, Every: time.Millisecond, Logger: slog.New(slog.DiscardHandler)}).Open(t.Context(), "certificates.token", "secret://aws/greenroom/plain")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: plain.ARN, SecretString: aws.String("rotated")}); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Millisecond)
	if got, err := v.Get(t.Context()); got != "rotated" || err != nil {
		t.Errorf("after the rotation: %q %v", got, err)
	}
}

// TestRefusals is about answers that moto does not give.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for code, says := range map[string]string{
		"AccessDeniedException":       "allow secretsmanager:GetSecretValue",
		"UnrecognizedClientException": "does not accept this machine's credentials",
		"ThrottlingException":         "no more calls for now",
		"DecryptionFailure":           "look at its KMS key",
		"InternalServiceError":        "did not give the secret",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"` + code + `","message":"no"}`))
		}))
		_, err := awssecrets.New(at(server.URL)).Read(t.Context(), "x", "")
		server.Close()
		if got := greenroom.Sentence(err, ""); !strings.Contains(got, says) {
			t.Errorf("%s: got %q (%v)", code, got, err)
		}
	}
	_, err := awssecrets.New(at("http://127.0.0.1:1")).Read(t.Context(), "x", "")
	if got := greenroom.Sentence(err, ""); !strings.Contains(got, "cannot be asked") {
		t.Errorf("unreachable: %q (%v)", got, err)
	}
	_, err = awssecrets.New(in("", "http://127.0.0.1:1")).Read(t.Context(), "x", "")
	if got := greenroom.Sentence(err, ""); !strings.Contains(got, "AWS_REGION") {
		t.Errorf("without a region: %q (%v)", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := awssecrets.New(at("http://127.0.0.1:1")).Read(ctx, "x", ""); err == nil {
		t.Error("a cancelled call was made")
	}
}
