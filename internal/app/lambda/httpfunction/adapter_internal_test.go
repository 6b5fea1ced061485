package httpfunction

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/app/lambda"
	"greenroom/internal/httpx"
)

func TestAnEventIsARequest(t *testing.T) {
	t.Parallel()
	in := events.LambdaFunctionURLRequest{
		RawPath: "/join/a%20b/teacher", RawQueryString: "key=K&x=%2F", Body: base64.StdEncoding.EncodeToString([]byte("\x00body")), IsBase64Encoded: true,
		Headers: map[string]string{"host": "meet.example.com", "accept": "text/html,application/json"}, Cookies: []string{"a=1", "b=2"},
	}
	in.RequestContext.HTTP.Method, in.RequestContext.HTTP.SourceIP, in.RequestContext.DomainName = "POST", "2001:db8::7", "x.lambda-url.eu-west-1.on.aws"
	r, ok := request(t.Context(), in)
	if !ok {
		t.Fatal("it is none")
	}
	body, _ := io.ReadAll(r.Body)
	a, _ := r.Cookie("a")
	b, _ := r.Cookie("b")
	got := []string{r.Method, r.Host, r.URL.Path, r.URL.RawQuery, r.RequestURI, r.Header.Get("Accept"), a.Value, b.Value, string(body), httpx.ClientAddr(r)}
	want := []string{"POST", "meet.example.com", "/join/a b/teacher", "key=K&x=%2F", "/join/a%20b/teacher?key=K&x=%2F", "text/html,application/json", "1", "2", "\x00body", "2001:db8::7"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	in.Headers = nil
	if r, ok = request(t.Context(), in); !ok || r.Host != in.RequestContext.DomainName {
		t.Errorf("without a host it is for %q", r.Host)
	}
	for name, spoil := range map[string]func(*events.LambdaFunctionURLRequest){
		"body":   func(in *events.LambdaFunctionURLRequest) { in.Body = "?" },
		"method": func(in *events.LambdaFunctionURLRequest) { in.RequestContext.HTTP.Method = "G T" },
	} {
		bad := in
		spoil(&bad)
		if _, ok := request(t.Context(), bad); ok {
			t.Errorf("a request with a bad %s", name)
		}
	}
}

func TestAnAnswerIsAReply(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		write   func(w http.ResponseWriter)
		status  int
		body    string
		encoded bool
	}{
		"nothing": {func(http.ResponseWriter) {}, 200, "", false},
		"text":    {func(w http.ResponseWriter) { w.WriteHeader(404); _, _ = io.WriteString(w, "näh") }, 404, "näh", false},
		"bytes":   {func(w http.ResponseWriter) { _, _ = w.Write([]byte{0xff, 0}) }, 200, "/wA=", true},
		"compressed": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "zip")
		}, 200, "emlw", true},
		"a stream": {func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush(); w.WriteHeader(500) }, 200, "", false},
	} {
		a := &answer{header: http.Header{}}
		a.Header().Add("Set-Cookie", "a=1")
		a.Header().Add("Set-Cookie", "b=2")
		c.write(a)
		out := a.reply()
		if out.StatusCode != c.status || out.Body != c.body || out.IsBase64Encoded != c.encoded || len(out.Cookies) != 2 || out.Headers["Set-Cookie"] != "" {
			t.Errorf("%s: %+v", name, out)
		}
	}
	a := &answer{header: http.Header{}}
	if _, err := a.Write(make([]byte, maxAnswer+1)); err == nil {
		t.Error("more than Lambda takes was taken")
	}
}

func TestItRefusesOtherHandlers(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.Context(), lambda.Wake, lambda.Options{}); !strings.Contains(greenroom.Sentence(err, ""), "greenroom-lambda answers wake") {
		t.Errorf("%v", err)
	}
}

// TestABrokenFunctionAnswers people, who would otherwise see Lambda's own error.
func TestABrokenFunctionAnswers(t *testing.T) {
	t.Parallel()
	out, err := Broken(t.Context(), []byte("anything"))
	if reply, ok := out.(events.LambdaFunctionURLResponse); err != nil || !ok || reply.StatusCode != http.StatusServiceUnavailable || !strings.Contains(reply.Body, "Try again in a minute") {
		t.Errorf("%+v, %v", out, err)
	}
}
