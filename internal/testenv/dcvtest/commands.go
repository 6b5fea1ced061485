package dcvtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

func (s *Server) serveCommand(w http.ResponseWriter, r *http.Request) {
	var args []string
	if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.Lock()
	silent := s.Silent
	s.Unlock()
	if silent && args[0] == "dcv" {
		<-r.Context().Done()
		return
	}
	_ = json.NewEncoder(w).Encode(s.command(args)) // whoever asked may be gone
}

func (s *Server) command(args []string) reply {
	s.Lock()
	defer s.Unlock()
	switch line := strings.Join(args, " "); {
	case line == "systemctl restart dcvserver":
		s.Restarts++
		s.restart()
		return reply{}
	case line == "systemctl poweroff":
		s.power.Do(func() { close(s.PoweredOff) })
		return reply{}
	case args[0] == "notify-send":
		s.Told = append(s.Told, args[len(args)-1])
		return reply{}
	case args[0] == "dcv" && time.Since(s.started) < s.SessionAfter/2:
		return reply{Err: "The dcvserver service is not running\n", Code: 1}
	case s.Garbled:
		return reply{Out: "\x1b]0;owned\x07<not json>" + strings.Repeat("A", 1<<20)}
	case line == "dcv describe-session console -j":
		if !s.session() {
			return reply{Err: "Could not find session 'console'\n", Code: 1}
		}
		return printed(s.describe())
	case line == "dcv list-connections console -j":
		if !s.session() {
			return reply{Err: "Could not find session 'console'\n", Code: 1}
		}
		return printed(s.connections())
	}
	return reply{Err: "unknown command: " + strings.Join(args, " ") + "\n", Code: 2}
}

func printed(v any) reply {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return reply{Err: err.Error(), Code: 1}
	}
	return reply{Out: string(text) + "\n"}
}

func (s *Server) describe() map[string]any {
	licence := s.Licence
	if licence == "" {
		licence = "LICENSED"
	}
	o := map[string]any{
		"id": "console", "owner": s.conf[console+".owner"], "name": "Console", "type": "console", "creation-time": stamp(s.started),
		"num-of-connections": len(s.clients), "last-disconnection-time": "", "storage-root": "", "x11-display": ":0", "x11-authority": "/run/user/1000/Xauthority",
		"licenses":       []map[string]any{{"product": "dcv", "status": licence, "check-timestamp": stamp(time.Now()), "expiration-date": "2099-01-01T00:00:00Z"}},
		"display-layout": []map[string]any{{"width": 1920, "height": 1080, "x": 0, "y": 0}},
	}
	return s.written(o)
}

func (s *Server) connections() []map[string]any {
	out := []map[string]any{}
	for id, c := range s.clients {
		out = append(out, s.written(map[string]any{
			"id": id, "username": c.user, "user-agent": "Mozilla/5.0", "client-mode": "web", "transport": "websocket",
			"connection-time": stamp(c.since), "last-interaction-time": stamp(c.since), "first-frame-time": stamp(c.since),
		}))
	}
	sort.Slice(out, func(i, j int) bool { return fmt.Sprint(out[i]) < fmt.Sprint(out[j]) })
	return out
}

// written is o as the version writes it.
func (s *Server) written(o map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range o {
		switch {
		case s.Terse && (name == "first-frame-time" || name == "last-interaction-time" || name == "licenses"):
		case s.Terse:
			out[strings.ReplaceAll(name, "-", "_")] = value
		default:
			out[name] = value
		}
		if n, ok := value.(int); ok && s.Chatty {
			out[name] = strconv.Itoa(n)
		}
	}
	if s.Chatty {
		out["hologram"] = map[string]any{"depth": []int{1, 2, 3}}
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// readConf reads dcv.conf: values by section and key, without their quotes.
func readConf(path string) map[string]string {
	conf := map[string]string{}
	text, err := os.ReadFile(path)
	if err != nil {
		return conf
	}
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch name, value, ok := strings.Cut(line, "="); {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		case ok:
			value = strings.TrimSpace(value)
			if text, err := strconv.Unquote(value); err == nil {
				value = text
			}
			conf[section+"."+strings.TrimSpace(name)] = value
		}
	}
	return conf
}

// selfSigned makes the pair that DCV makes when it finds none.
func selfSigned(t testing.TB, certFile, keyFile string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "DCV"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
