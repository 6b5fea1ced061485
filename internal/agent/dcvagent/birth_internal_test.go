package dcvagent

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// metadataService answers as EC2's does: version 2 alone, and not at once after the boot.
func metadataService(t *testing.T, userData string, down int32) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= down {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		if r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "" {
			fmt.Fprint(w, "a token")
			return
		}
		if r.Header.Get("X-aws-ec2-metadata-token") != "a token" {
			http.Error(w, "version 1 is off", http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/latest/user-data":
			fmt.Fprint(w, userData)
		case "/latest/dynamic/instance-identity/document":
			fmt.Fprint(w, "{\n  \"instanceId\" : \"i-0123456789abcdef0\"\n}")
		case "/latest/dynamic/instance-identity/rsa2048":
			fmt.Fprint(w, "MIAG\nAAAA")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s, &asked
}

const goodData = `{"control_url": "https://control.test", "secret": "s", "kill_at": "2026-12-01T15:00:00Z", "protocol": "dcv"}`

func TestMetadata(t *testing.T) {
	t.Parallel()
	s, _ := metadataService(t, goodData, 2)
	b, err := learn(t.Context(), Config{Metadata: s.URL, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if b.instance != "i-0123456789abcdef0" || b.data.Secret != "s" || b.signature != "MIAG\nAAAA" || b.document != "{\n  \"instanceId\" : \"i-0123456789abcdef0\"\n}" {
		t.Errorf("born as %+v", b)
	}
}

func TestMetadataIsAskedOfThisMachineAlone(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"http://example.com", "http://192.0.2.1", "http://[2001:db8::1]", "nonsense", ""} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := fromMetadata(ctx, base); err == nil || !strings.Contains(err.Error(), "link-local") {
			t.Errorf("%q: %v", base, err)
		}
		cancel()
	}
}

func TestUserDataOfNoUse(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a script": "#!/bin/sh\n", "nothing": "", "no secret": `{"control_url": "https://c", "kill_at": "2026-12-01T15:00:00Z"}`,
		"no kill time": `{"control_url": "https://c", "secret": "s"}`, "too long": goodData + strings.Repeat(" ", 70<<10),
	} {
		s, _ := metadataService(t, text, 0)
		if _, err := read(t.Context(), Config{Metadata: s.URL}); err == nil {
			t.Errorf("%s is taken for user data", name)
		}
	}
}
