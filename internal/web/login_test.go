package web_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"greenroom/internal/web"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	closed := func(o *web.Options) {
		o.PublicURL = "https://greenroom.example.com"
		o.GoodToken = func(_ context.Context, token string) (bool, error) { return token == "right", nil }
	}

	t.Run("AGoodTokenBecomesACookie", func(t *testing.T) {
		t.Parallel()
		s := open(t, closed)
		s.get(t, "/login?next=/meetings").want(t, 200, `name="next" value="/meetings"`)
		r := s.post(t, "/login", url.Values{"token": {" right\n"}, "next": {"/meetings"}})
		r.want(t, http.StatusSeeOther)
		c := r.Cookies()
		if len(c) != 1 || c[0].Name != "greenroom_token" || c[0].Value != "right" || !c[0].HttpOnly || !c[0].Secure || c[0].SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie %v", c)
		}
		if r.Header.Get("Location") != "/meetings" {
			t.Errorf("sent to %s", r.Header.Get("Location"))
		}
	})
	t.Run("AWrongOneIsSaid", func(t *testing.T) {
		t.Parallel()
		r := open(t, closed).post(t, "/login", url.Values{"token": {"wrong"}})
		r.want(t, http.StatusForbidden, "This is not a token of this greenroom")
		if len(r.Cookies()) > 0 {
			t.Error("a cookie was set")
		}
	})
	t.Run("NobodyIsSentElsewhere", func(t *testing.T) {
		t.Parallel()
		s := open(t, closed)
		for _, next := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/\t/evil.example", ""} {
			r := s.post(t, "/login", url.Values{"token": {"right"}, "next": {next}})
			if got := r.Header.Get("Location"); got != "/" {
				t.Errorf("next %q leads to %q", next, got)
			}
		}
	})
	t.Run("SigningOutForgetsIt", func(t *testing.T) {
		t.Parallel()
		r := open(t, closed).post(t, "/logout", nil)
		r.want(t, http.StatusSeeOther)
		if c := r.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
			t.Errorf("cookie %v", c)
		}
	})
	t.Run("WhoNeedNotSignInIsSentOn", func(t *testing.T) {
		t.Parallel()
		r := open(t).get(t, "/login?next=/meetings")
		if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/meetings" {
			t.Errorf("status %d to %s", r.StatusCode, r.Header.Get("Location"))
		}
	})
}
