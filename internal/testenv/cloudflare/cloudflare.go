// Package cloudflare gives tests a server that speaks as much of Cloudflare's API v4 as greenroom uses, as strictly as the
// documentation and the official client's types say: tokens and their rights, zones, DNS records one by one and in batches,
// quotas by plan, pages, the error envelope, and the rate with its block. Other endpoints can be added with Handle. Routes,
// methods, parameters and fields that it does not know are refused, also where Cloudflare would pass over them.
package cloudflare

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Right is a permission of a token.
type Right string

// The rights that greenroom asks for.
const (
	ZoneRead Right = "Zone Read"
	DNSEdit  Right = "DNS Edit"
	SSLEdit  Right = "SSL and Certificates Edit"
)

// Plan is what a zone is paid for.
type Plan struct {
	ID      string // its legacy_id
	Records int    // most records of a zone
	Batch   int    // most operations of a batch
	Tags    int    // most tags of a record
	Comment int    // longest comment
}

// Plans as documented; Enterprise zones have no limit of their own.
var (
	Free       = Plan{"free", 200, 200, 0, 100}
	Pro        = Plan{"pro", 3500, 3500, 20, 500}
	Enterprise = Plan{"enterprise", 1_000_000, 3500, 20, 500}
)

// Record is a DNS record as the API shows it.
type Record struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Content string   `json:"content"`
	TTL     int      `json:"ttl"`
	Proxied bool     `json:"proxied"`
	Comment string   `json:"comment,omitempty"`
	Tags    []string `json:"tags"`
}

// Server is the stand-in. Its fields are set before it is used.
type Server struct {
	Zone   string // name of the one zone with records
	ZoneID string
	Status string // of that zone
	Others []Zone // that the token sees, too; they are listed first
	Plan   Plan
	Token  string
	Rights []Right

	PageSize int // most records of a page, whatever is asked for

	// Rate: so many requests in a window, and a block when there are more.
	Requests      int
	Window, Block time.Duration

	// Fault, if not nil, may answer a request instead of the server; it returns false to let it pass.
	Fault func(w http.ResponseWriter, r *http.Request) bool

	http *httptest.Server
	mux  *http.ServeMux

	mu      sync.Mutex
	records []Record
	calls   []string // method and path of each request
	early   int      // requests during a block
	count   int
	began   time.Time
	blocked time.Time
}

// New starts a server with one zone; it ends with the test.
func New(tb testing.TB, zone string) *Server {
	tb.Helper()
	s := &Server{
		Zone: zone, ZoneID: id(), Status: "active", PageSize: maxPage, Plan: Pro, Token: "token-" + id(), Rights: []Right{ZoneRead, DNSEdit, SSLEdit},
		Requests: 1200, Window: 5 * time.Minute, Block: 5 * time.Minute, mux: http.NewServeMux(),
	}
	s.routes()
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(s.http.Close)
	return s
}

// URL is what the client takes for https://api.cloudflare.com/client/v4.
func (s *Server) URL() string { return s.http.URL + "/client/v4" }

// Handle adds an endpoint, such as "POST /certificates", for tokens that have the right.
func (s *Server) Handle(pattern string, needs Right, h http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	s.mux.HandleFunc(method+" /client/v4"+path, func(w http.ResponseWriter, r *http.Request) {
		if !s.has(needs) {
			Fail(w, http.StatusForbidden, 10000, "Authentication error")
			return
		}
		h(w, r)
	})
}

func (s *Server) has(right Right) bool {
	for _, r := range s.Rights {
		if r == right {
			return true
		}
	}
	return right == ""
}

// serve counts, throttles and authenticates.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if wait := s.enter(r.Method + " " + strings.TrimPrefix(r.URL.Path, "/client/v4")); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		Fail(w, http.StatusTooManyRequests, 971, "Please wait and consider throttling your request speed")
		return
	}
	if s.Fault != nil && s.Fault(w, r) {
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok:
		Fail(w, http.StatusBadRequest, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
	case token != s.Token && strings.HasSuffix(r.URL.Path, "/user/tokens/verify"):
		Fail(w, http.StatusUnauthorized, 1000, "Invalid API Token")
	case token != s.Token:
		Fail(w, http.StatusForbidden, 9109, "Invalid access token")
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// enter notes a request and returns how long none is answered any more.
func (s *Server) enter(call string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	now := time.Now()
	if now.Before(s.blocked) {
		s.early++
		return s.blocked.Sub(now)
	}
	if now.Sub(s.began) > s.Window {
		s.began, s.count = now, 0
	}
	if s.count++; s.count > s.Requests {
		s.blocked = now.Add(s.Block)
		return s.Block
	}
	return 0
}

// BlockFor refuses every request for that long.
func (s *Server) BlockFor(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked = time.Now().Add(d)
}

// Early is how many requests came while the server had asked for none, the first of them not counted if it was what
// made the server ask.
func (s *Server) Early() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.early
}

// Calls are the requests so far, such as "GET /zones".
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// Records are the zone's.
func (s *Server) Records() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Record(nil), s.records...)
}

// Plant puts a record into the zone without any check.
func (s *Server) Plant(r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ID = id()
	s.records = append(s.records, r)
}

func (s *Server) routes() {
	s.Handle("GET /user/tokens/verify", "", func(w http.ResponseWriter, _ *http.Request) {
		OK(w, map[string]any{"id": id(), "status": "active"}, nil)
	})
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		Fail(w, http.StatusBadRequest, 7000, "No route for %s %s", r.Method, r.URL.Path)
	})
	s.zoneRoutes()
	s.recordRoutes()
}

// inZone lets requests for the zone pass.
func (s *Server) inZone(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch zone := r.PathValue("zone"); {
		case len(zone) != 32:
			Fail(w, http.StatusNotFound, 7003, "Could not route to %s, perhaps your object identifier is invalid?", r.URL.Path)
		case zone != s.ZoneID:
			Fail(w, http.StatusForbidden, 10000, "Authentication error")
		default:
			h(w, r)
		}
	}
}

// Page is result_info.
type Page struct {
	Page    int `json:"page"`
	PerPage int `json:"per_page"`
	Count   int `json:"count"`
	Total   int `json:"total_count"`
	Pages   int `json:"total_pages"`
}

// OK answers with a result in the envelope.
func OK(w http.ResponseWriter, result any, page *Page) {
	answer(w, http.StatusOK, map[string]any{"success": true, "errors": []any{}, "messages": []any{}, "result": result, "result_info": page})
}

// Fail answers with an error in the envelope.
func Fail(w http.ResponseWriter, status, code int, format string, args ...any) {
	answer(w, status, map[string]any{"success": false, "errors": []any{map[string]any{"code": code, "message": fmt.Sprintf(format, args...)}}, "messages": []any{}, "result": nil})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func id() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
