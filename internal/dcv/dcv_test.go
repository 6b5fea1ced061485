package dcv_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenroom/internal/dcv"
)

const (
	form = "application/x-www-form-urlencoded"
	ok   = "sessionId=console&authenticationToken=a%2Fb&clientAddress=192.0.2.7"
)

func TestEntryURL(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"https://i-1.example.com:8443/?authToken=abc#console":    dcv.EntryURL("i-1.example.com", 8443, "abc"),
		"https://i-1.example.com/?authToken=abc#console":         dcv.EntryURL("i-1.example.com", 443, "abc"),
		"https://i-1.example.com/?authToken=a%26b%23c#console":   dcv.EntryURL("i-1.example.com", 443, "a&b#c"),
		"https://[2001:db8::1]:8443/?authToken=a%2Bb%3D#console": dcv.EntryURL("2001:db8::1", 8443, "a+b="),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestParseVerifyRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, contentType, body string
		want                      dcv.VerifyRequest
		wrong                     bool
	}{
		"AsDocumented":      {"POST", form, ok, dcv.VerifyRequest{SessionID: "console", Token: "a/b", ClientAddress: "192.0.2.7"}, false},
		"AnyOrder":          {"POST", form, "clientAddress=a&sessionId=s&authenticationToken=t", dcv.VerifyRequest{SessionID: "s", Token: "t", ClientAddress: "a"}, false},
		"WithCharset":       {"POST", form + "; charset=utf-8", ok, dcv.VerifyRequest{SessionID: "console", Token: "a/b", ClientAddress: "192.0.2.7"}, false},
		"EmptyAddress":      {"POST", form, "sessionId=s&authenticationToken=t&clientAddress=", dcv.VerifyRequest{SessionID: "s", Token: "t"}, false},
		"WithoutAddress":    {"POST", form, "sessionId=s&authenticationToken=t", dcv.VerifyRequest{}, true},
		"RepeatedToken":     {"POST", form, ok + "&authenticationToken=other", dcv.VerifyRequest{}, true},
		"UnknownField":      {"POST", form, ok + "&admin=1", dcv.VerifyRequest{}, true},
		"NotAForm":          {"POST", "application/json", "{}", dcv.VerifyRequest{}, true},
		"BadEscape":         {"POST", form, ok + "%zz", dcv.VerifyRequest{}, true},
		"Get":               {"GET", form, ok, dcv.VerifyRequest{}, true},
		"TooLong":           {"POST", form, ok + strings.Repeat("&", 9<<10), dcv.VerifyRequest{}, true},
		"TokenTooLong":      {"POST", form, "sessionId=s&clientAddress=a&authenticationToken=" + strings.Repeat("t", 3<<10), dcv.VerifyRequest{}, true},
		"InTheQueryIsNoUse": {"POST", form, "", dcv.VerifyRequest{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, "/verify?"+ok, strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			got, err := dcv.ParseVerifyRequest(r)
			if errors.Is(err, dcv.ErrMalformed) != c.wrong {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWriteVerdict(t *testing.T) {
	t.Parallel()
	for want, write := range map[string]func(http.ResponseWriter) error{
		`<auth result="yes"><username>DOMAIN\user</username></auth>`:      func(w http.ResponseWriter) error { return dcv.WriteVerdict(w, true, `DOMAIN\user`, "unused") },
		`<auth result="yes"><username>a&lt;b&amp;c</username></auth>`:     func(w http.ResponseWriter) error { return dcv.WriteVerdict(w, true, "a<b&c", "") },
		`<auth result="no"><message>Come &lt;later&gt;.</message></auth>`: func(w http.ResponseWriter) error { return dcv.WriteVerdict(w, false, "unused", "Come <later>.") },
	} {
		w := httptest.NewRecorder()
		if err := write(w); err != nil {
			t.Fatal(err)
		}
		if w.Body.String() != want {
			t.Errorf("got %s, want %s", w.Body, want)
		}
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/xml" || w.Header().Get("Content-Length") != strconv.Itoa(len(want)) {
			t.Errorf("status %d, header %v", w.Code, w.Header())
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()

	t.Run("BothSidesUnderstandEachOther", func(t *testing.T) {
		t.Parallel()
		verifier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q, err := dcv.ParseVerifyRequest(r)
			good := err == nil && q == dcv.VerifyRequest{SessionID: "console", Token: "t&t", ClientAddress: "::1"}
			if err := dcv.WriteVerdict(w, good, "Ann <a>", "no & never"); err != nil {
				t.Error(err)
			}
		}))
		defer verifier.Close()
		name, accepted, _, err := dcv.Verify(t.Context(), verifier.Client(), verifier.URL, "console", "t&t", "::1")
		if err != nil || !accepted || name != "Ann <a>" {
			t.Errorf("good token: %q %v %v", name, accepted, err)
		}
		_, accepted, message, err := dcv.Verify(t.Context(), verifier.Client(), verifier.URL, "console", "other", "::1")
		if err != nil || accepted || message != "no & never" {
			t.Errorf("bad token: %v %q %v", accepted, message, err)
		}
	})

	for name, c := range map[string]struct {
		status int
		body   string
		good   bool
		broken bool
	}{
		"RejectionWithAnyStatus": {http.StatusUnauthorized, `<auth result="no"><message>x</message></auth>`, false, false},
		"WithDeclaration":        {http.StatusOK, `<?xml version="1.0"?><auth result="yes"><username>u</username></auth>`, true, false},
		"YesWithoutNameIsNo":     {http.StatusOK, `<auth result="yes"></auth>`, false, false},
		"UnknownResult":          {http.StatusOK, `<auth result="maybe"/>`, false, true},
		"NotXML":                 {http.StatusOK, "yes", false, true},
		"ErrorPage":              {http.StatusBadGateway, "<html>bad gateway</html>", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verifier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer verifier.Close()
			_, accepted, _, err := dcv.Verify(t.Context(), verifier.Client(), verifier.URL, "s", "t", "a")
			if accepted != c.good || (err != nil) != c.broken {
				t.Errorf("accepted %v, error %v", accepted, err)
			}
		})
	}

	t.Run("ErrorsKeepTheSecretInTheAddress", func(t *testing.T) {
		t.Parallel()
		gone := httptest.NewServer(nil)
		gone.Close()
		for _, address := range []string{gone.URL + "/top-secret", "http://[top-secret"} {
			if _, _, _, err := dcv.Verify(t.Context(), http.DefaultClient, address, "s", "t", "a"); err == nil || strings.Contains(err.Error(), "top-secret") {
				t.Errorf("error is %v", err)
			}
		}
	})
}

func FuzzParseVerifyRequest(f *testing.F) {
	f.Add(ok)
	f.Add("sessionId=%F0%9F%98%80&authenticationToken=&clientAddress=")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", form)
		q, err := dcv.ParseVerifyRequest(r)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		if err := dcv.WriteVerdict(w, true, q.Token, ""); err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &struct {
			XMLName xml.Name `xml:"auth"`
		}{}); err != nil {
			t.Errorf("the verdict is no XML: %v", err)
		}
	})
}
