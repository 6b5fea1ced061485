package awsidentity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom/internal/awsidentity"
	"greenroom/internal/awsidentity/awsidentitytest"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	ours, theirs := awsidentitytest.New(t), awsidentitytest.New(t)
	v, err := awsidentity.New(append(append([]byte("# eu-central-1\n"), awsidentitytest.New(t).PEM...), ours.PEM...))
	if err != nil {
		t.Fatal(err)
	}
	want := awsidentity.Document{InstanceID: "i-0123456789abcdef0", AccountID: "123456789012", Region: "eu-central-1", PendingTime: time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)}
	document, signature := ours.Sign(t, want)
	if got, err := v.Verify(document, signature); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	other := want
	other.InstanceID = "i-0fedcba9876543210"
	otherDocument, otherSignature := ours.Sign(t, other)
	forged, forgedSignature := theirs.Sign(t, want)
	for name, c := range map[string]struct{ document, signature string }{
		"another document under the signature":                      {otherDocument, signature},
		"another signature for the document":                        {document, otherSignature},
		"signed by somebody else, who brings the certificate along": {forged, forgedSignature},
		"a blank more":        {document + " ", signature},
		"no signature":        {document, ""},
		"not base64":          {document, "!!"},
		"not PKCS #7":         {document, "aGVsbG8="},
		"a long document":     {strings.Repeat(" ", 20<<10), signature},
		"a long signature":    {document, strings.Repeat("A", 20<<10)},
		"a signature cut off": {document, signature[:len(signature)/2]},
	} {
		if got, err := v.Verify(c.document, c.signature); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, text := range map[string]string{"nothing": "", "a key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, err := awsidentity.New([]byte(text)); err == nil {
			t.Errorf("%s is taken for certificates", name)
		}
	}
}

// TestRegions has one file for several regions, as somebody copies it from AWS's page.
func TestRegions(t *testing.T) {
	t.Parallel()
	frankfurt, oregon := awsidentitytest.New(t), awsidentitytest.New(t)
	indented := "  " + strings.ReplaceAll(strings.TrimSpace(string(oregon.PEM)), "\n", "\r\n  ") + "\r\n"
	pasted := "Europe (Frankfurt)\n" + string(frankfurt.PEM) + "US West (Oregon)\r\n" + indented + string(frankfurt.PEM)
	v, err := awsidentity.New([]byte(pasted))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(v.Certificates()); n != 2 {
		t.Errorf("%d certificates", n)
	}
	for region, signer := range map[string]*awsidentitytest.Signer{"eu-central-1": frankfurt, "us-west-2": oregon} {
		document, signature := signer.Sign(t, awsidentity.Document{InstanceID: "i-1", Region: region})
		if got, err := v.Verify(document, signature); err != nil || got.Region != region {
			t.Errorf("%s: %+v %v", region, got, err)
		}
	}
	cut := pasted[:len(pasted)-100]
	if _, err := awsidentity.New([]byte(cut)); err == nil || !strings.Contains(err.Error(), "2 of 3") {
		t.Errorf("a certificate that was not copied whole: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	signer := awsidentitytest.New(f)
	v, err := awsidentity.New(signer.PEM)
	if err != nil {
		f.Fatal(err)
	}
	document, signature := signer.Sign(f, awsidentity.Document{InstanceID: "i-1"})
	f.Add(document, signature)
	f.Fuzz(func(t *testing.T, d, s string) {
		if got, err := v.Verify(d, s); err == nil && (d != document || got.InstanceID != "i-1") {
			t.Errorf("accepted: %q", d)
		}
	})
}
