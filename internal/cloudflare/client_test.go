package cloudflare_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"greenroom/internal/cloudflare"
)

const token = "a-token-of-this-test"

// trip answers in the place of a network.
type trip func(r *http.Request) *http.Response

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return f(r), nil
}

func options(f trip) cloudflare.Options {
	return cloudflare.Options{
		BaseURL: "http://api.test/client/v4/", HTTP: &http.Client{Transport: f},
		Token: func(context.Context) (string, error) { return token, nil },
	}
}

func reply(status int, header, body string) *http.Response {
	h := http.Header{}
	if key, value, ok := strings.Cut(header, ": "); ok {
		h.Set(key, value)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

func good(result string) *http.Response {
	return reply(http.StatusOK, "", `{"success":true,"errors":[],"messages":[],"result":`+result+`}`)
}

func TestRequestSaysWhoAsks(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body string
	c := cloudflare.New(options(func(r *http.Request) *http.Response {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
		return good(`{"id":"1","certificate":"PEM"}`)
	}))
	signed, err := c.Sign(t.Context(), cloudflare.CertificateRequest{CSR: "csr", Hostnames: []string{"a.example.com"}, Type: "origin-ecc", Days: 7})
	if err != nil || signed.Certificate != "PEM" {
		t.Fatalf("%+v, %v", signed, err)
	}
	if got.Method != http.MethodPost || got.URL.String() != "http://api.test/client/v4/certificates" {
		t.Errorf("%s %s", got.Method, got.URL)
	}
	for key, want := range map[string]string{"Authorization": "Bearer " + token, "Accept": "application/json", "Content-Type": "application/json"} {
		if v := got.Header.Get(key); v != want {
			t.Errorf("%s is %q, want %q", key, v, want)
		}
	}
	if v := got.Header.Get("User-Agent"); !strings.HasPrefix(v, "greenroom/") {
		t.Errorf("User-Agent is %q", v)
	}
	if want := `{"csr":"csr","hostnames":["a.example.com"],"request_type":"origin-ecc","requested_validity":7}`; body != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for name, test := range map[string]struct {
		answer *http.Response
		status int // of the Error; 0 is another error
		code   int
		says   string
	}{
		"envelope":        {reply(400, "", `{"success":false,"errors":[{"code":81053,"message":"exists"}],"result":null}`), 400, 81053, "Cloudflare answers 400 exists (81053)"},
		"two errors":      {reply(403, "", `{"success":false,"errors":[{"code":1,"message":"a"},{"code":2,"message":"b"}]}`), 403, 2, "a (1), b (2)"},
		"good status":     {reply(200, "", `{"success":false,"errors":[{"code":7,"message":"no"}],"result":null}`), 200, 7, "no (7)"},
		"page of a proxy": {reply(407, "", "<html>"), 407, 0, "Cloudflare answers 407 Proxy Authentication Required"},
		"redirect":        {reply(302, "Location: http://elsewhere.test/", ""), 302, 0, "Cloudflare answers 302"},
		"long message":    {reply(400, "", `{"errors":[{"code":1,"message":"`+long+`"}]}`), 400, 1, "xxx"},
		"many errors":     {reply(400, "", `{"errors":[`+strings.Repeat(`{"code":1,"message":"a"},`, 4000)+`{"code":2}]}`), 400, 1, "a (1)"},
		"not JSON":        {reply(200, "", "hello"), 0, 0, "read Cloudflare's answer to GET /zones/z"},
		"not an envelope": {reply(200, "", `{"id":"z"}`), 200, 0, "Cloudflare answers 200"},
		"too long":        {reply(200, "", `{"success":true,"result":{"id":"`+strings.Repeat("x", 2<<20)+`"}}`), 0, 0, "longer than 1048576 bytes"},
		"no result":       {good("null"), 0, 0, `the zone "" instead of z`},
		"another zone":    {good(`{"id":"y"}`), 0, 0, `the zone "y" instead of z`},
		"of another type": {good(`[]`), 0, 0, "read Cloudflare's answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			c := cloudflare.New(options(func(*http.Request) *http.Response { calls++; return test.answer }))
			_, err := c.Zone(t.Context(), "z")
			if err == nil || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 500 || strings.Contains(err.Error(), token) || calls != 1 {
				t.Fatalf("%d calls, %.600v", calls, err)
			}
			e, ok := errors.AsType[*cloudflare.Error](err)
			if ok != (test.status > 0) {
				t.Fatalf("%T", err)
			}
			if ok && (e.Status != test.status || test.code > 0 && !e.Has(test.code)) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestAnswersWithoutWhatWasAsked(t *testing.T) {
	t.Parallel()
	c := cloudflare.New(options(func(*http.Request) *http.Response { return good("{}") }))
	if _, err := c.Sign(t.Context(), cloudflare.CertificateRequest{}); err == nil {
		t.Error("no certificate is one")
	}
	if _, err := c.Batch(t.Context(), "z", cloudflare.Batch{Posts: []cloudflare.Record{{Name: "a"}}}); err == nil {
		t.Error("no record is one")
	}
}

func TestIDsAreNoPaths(t *testing.T) {
	t.Parallel()
	c := cloudflare.New(options(func(r *http.Request) *http.Response { t.Errorf("%s %s", r.Method, r.URL); return good("{}") }))
	for _, bad := range []string{"", "..", "a/b", "a?b", strings.Repeat("a", 129)} {
		_, err := c.Zone(t.Context(), bad)
		_, err2 := c.Batch(t.Context(), bad, cloudflare.Batch{})
		for _, err := range []error{err, err2, c.Revoke(t.Context(), bad), c.DeleteRecord(t.Context(), "z", bad), c.AddRecord(t.Context(), bad, cloudflare.Record{}), c.Records(t.Context(), bad, cloudflare.Filter{}, nil)} {
			if err == nil {
				t.Errorf("%q was taken for an id", bad)
			}
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		has, size int  // records, and the most of a page whatever is asked for
		says      bool // the answer says how many pages there are
		calls     int
	}{
		"none":            {0, 5000, true, 1},
		"one page":        {7, 5000, true, 1},
		"just full":       {10000, 5000, true, 2},
		"smaller pages":   {250, 100, true, 3},
		"silent":          {5001, 5000, false, 2},
		"silent and full": {5000, 5000, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			c := cloudflare.New(options(func(r *http.Request) *http.Response {
				calls++
				var page int
				_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
				var some []string
				for i := (page - 1) * test.size; i < min(page*test.size, test.has); i++ {
					some = append(some, fmt.Sprintf(`{"id":"%d"}`, i))
				}
				info := "null"
				if test.says {
					info = fmt.Sprintf(`{"page":%d,"total_pages":%d}`, page, (test.has+test.size-1)/test.size)
				}
				return reply(200, "", `{"success":true,"result_info":`+info+`,"result":[`+strings.Join(some, ",")+`]}`)
			}))
			seen := map[string]bool{}
			err := c.Records(t.Context(), "z", cloudflare.Filter{Name: "a"}, func(r cloudflare.Record) { seen[r.ID] = true })
			if err != nil || len(seen) != test.has || calls != test.calls {
				t.Errorf("%d records in %d calls, %v", len(seen), calls, err)
			}
		})
	}
}

func TestEndlessListIsAnError(t *testing.T) {
	t.Parallel()
	one := `{"success":true,"result_info":{"total_pages":1000000},"result":[` + strings.Repeat(`{"id":"a","name":"example.com"},`, 49) + `{}]}`
	calls := 0
	c := cloudflare.New(options(func(*http.Request) *http.Response { calls++; return reply(200, "", one) }))
	if all, err := c.Zones(t.Context(), "example.com"); err == nil || calls > 21 {
		t.Errorf("%d zones in %d calls", len(all), calls)
	}
}

func TestRedirectDoesNotCarryTheToken(t *testing.T) {
	t.Parallel()
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(elsewhere.Close)
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	c := cloudflare.New(cloudflare.Options{BaseURL: s.URL, Token: func(context.Context) (string, error) { return token, nil }})
	if _, err := c.TokenStatus(t.Context()); err == nil || asked {
		t.Errorf("%v, asked elsewhere: %v", err, asked)
	}
}

func TestNothingIsSentWithoutTurnOrToken(t *testing.T) {
	t.Parallel()
	no := errors.New("not now")
	for name, change := range map[string]func(*cloudflare.Options){
		"turn":  func(o *cloudflare.Options) { o.Turn = func(context.Context) error { return no } },
		"token": func(o *cloudflare.Options) { o.Token = func(context.Context) (string, error) { return "", no } },
	} {
		o := options(func(r *http.Request) *http.Response { t.Errorf("%s: %s", name, r.URL); return good("{}") })
		change(&o)
		if _, err := cloudflare.New(o).TokenStatus(t.Context()); !errors.Is(err, no) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{"0": 0, "30": 30 * time.Second, "999999": time.Hour, "": -1, "-5": -1, "soon": -1, "99999999999999999999": -1} {
		got, said := cloudflare.RetryAfter(http.Header{"Retry-After": {value}})
		if said != (want >= 0) || said && got != want {
			t.Errorf("%q: %v, %v", value, got, said)
		}
	}
	at := time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)
	if got, said := cloudflare.RetryAfter(http.Header{"Retry-After": {at}}); !said || got < 9*time.Minute || got > 10*time.Minute {
		t.Errorf("%v, %v", got, said)
	}
	if got, said := cloudflare.RetryAfter(http.Header{"Retry-After": {"Mon, 02 Jan 2006 15:04:05 GMT"}}); !said || got != 0 {
		t.Errorf("%v, %v", got, said)
	}
}
