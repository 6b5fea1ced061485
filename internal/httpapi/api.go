// Package httpapi is the JSON API: it reads requests, asks package meetings, and writes answers. What is
// allowed and what is valid is decided there, not here.
package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"greenroom"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

// service is what the API asks of package meetings.
type service interface {
	Schedule(ctx context.Context, in meetings.Schedule, idempotencyKey string) (greenroom.Meeting, bool, error)
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	List(ctx context.Context, f meetings.Filter) ([]greenroom.Meeting, string, error)
	Events(ctx context.Context, id string, after int64, limit int) ([]greenroom.Event, error)
	Edit(ctx context.Context, id string, in meetings.Edit, ifMatch int64) (greenroom.Meeting, error)
	Cancel(ctx context.Context, id string) (greenroom.Meeting, error)
	End(ctx context.Context, id string) (greenroom.Meeting, error)
	Park(ctx context.Context, id, length, reason, by string) (greenroom.Meeting, error)
	Resume(ctx context.Context, id, by string) (greenroom.Meeting, error)
	Stuck(ctx context.Context) (found []meetings.Stuck, more bool, err error)
	ReissueKey(ctx context.Context, id, seat, inside string) (greenroom.Meeting, error)
	Disconnect(ctx context.Context, id, seat, connection string) (greenroom.Meeting, error)
	Standing(ctx context.Context, id, role, key string) (meetings.Standing, error)
	Enter(ctx context.Context, id, role, key, clientAddr string) (meetings.Standing, error)
	AddSeatsOnce(ctx context.Context, id string, in []meetings.SeatInput, ifMatch int64, key string) (m greenroom.Meeting, added []string, replayed bool, err error)
	EditSeat(ctx context.Context, id, seat string, in meetings.SeatEdit, ifMatch int64) (greenroom.Meeting, error)
	RemoveSeat(ctx context.Context, id, seat string, force bool, ifMatch int64) (greenroom.Meeting, error)
	ReplaceDesktop(ctx context.Context, id, seat, reason string, force bool, ifMatch int64) (greenroom.Meeting, error)
	Visit(ctx context.Context, id, role, as string) (string, error)
	SessionData(ctx context.Context, id, role, url string) error
	Explain(ctx context.Context, id string) (meetings.Explanation, error)
	JoinURL(m greenroom.Meeting, seat greenroom.Seat) string
	VideoURL(m greenroom.Meeting) string
	PublicName(d *greenroom.Desktop) string

	Verify(ctx context.Context, secret, sessionID, token, clientAddr string) (meetings.Verdict, error)
	RefuseQuestion(ctx context.Context, secret, why string) (meetings.Verdict, error)
	Enrol(ctx context.Context, bearer string, in agentapi.Enrolment) (agentapi.Enrolled, error)
	Certificate(ctx context.Context, bearer string, in agentapi.CertificateRequest) (agentapi.Certificate, error)
	Report(ctx context.Context, bearer string, in agentapi.Report) (agentapi.Orders, error)
	Orders(ctx context.Context, bearer string) (agentapi.Orders, error)
	AgentSessionData(ctx context.Context, bearer, url string) error
	RefuseCall(ctx context.Context, bearer, why string) error
	WayByInstance(ctx context.Context, id string) (meetings.Way, error)
}

// hub tells when a meeting has changed.
type hub interface {
	Subscribe(ctx context.Context, meetingID string) <-chan struct{}
}

// Options are what the API is made of. Service and Logger are required.
type Options struct {
	Service service
	Hub     hub // nil: nothing is streamed; who watches asks again and again
	Logger  *slog.Logger
	Version string       // of the program, for the OpenAPI document
	Joins   *httpx.Joins // in front of join links, the pages' own as well; nil: of the API alone

	Watchers int // streams at once; 0 is DefaultWatchers

	Metrics http.Handler                    // /metrics; nil: not there
	Ready   func(ctx context.Context) error // why the server cannot serve now, for /readyz; nil: it can
	LocalCA func() []byte                   // PEM for /ca.pem, asked each time; nil: not there

	Resolvers []netip.Prefix // from where /resolveSession may be asked; nil: it is not there
}

// looksAtOnce is how many streams read at once what is new: half of the processors are for everybody else.
func looksAtOnce() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// DefaultWatchers is how many streams are open at once; for one more the oldest of the client with the most ends.
const DefaultWatchers = 1000

// maxBody bounds a request of the API, in bytes.
const maxBody = 512 << 10 // a full list of seats fits, also as it was answered

type api struct {
	service  service
	hub      hub
	log      *slog.Logger
	joins    *httpx.Joins
	machines *httpx.Guesses // wrong secrets of what claims to be a desktop
	watchers *connlimit.Pool
	looks    *connlimit.Turns // of streams
}

// Register adds the routes of the API, of the desktops and of operations to mux.
func Register(mux *http.ServeMux, o Options) {
	if o.Joins == nil {
		o.Joins = httpx.NewJoins()
	}
	watchers := cmp.Or(o.Watchers, DefaultWatchers)
	a := &api{
		service: o.Service, hub: o.Hub, log: o.Logger, joins: o.Joins, machines: httpx.NewGuesses(time.Second/20, 40),
		watchers: connlimit.NewPool(connlimit.Limits{All: watchers}), looks: connlimit.NewTurns(looksAtOnce(), 2*watchers),
	}
	if o.Hub == nil { // a function: its time costs money
		a.machines.Hold = 0
	}
	routes := http.NewServeMux()
	h := newHuma(routes, o.Version)
	a.organiserRoutes(h)
	a.operatorRoutes(h)
	a.participantRoutes(mux, h)
	a.desktopRoutes(routes)
	publishBounds(h)
	publishNulls(h)
	publishOptional(h)
	publishProblem(h)
	routes.HandleFunc("/", unknown(routes))
	for _, prefix := range []string{"/dcv/", "/agent/"} {
		mux.Handle(prefix, routes)
	}
	mux.Handle("/api/", a.documents(routes))
	a.resolverRoute(mux, o.Resolvers)
	registerDocs(mux, h)
	registerOperations(mux, o)
}

// strictCasing makes huma tell Title from title, as the rest of the world does. huma has it for the whole program.
var strictCasing = sync.OnceFunc(func() { huma.ValidateStrictCasing = true })

// newHuma sets huma up without its own pages, which load scripts from elsewhere.
func newHuma(routes *http.ServeMux, version string) huma.API {
	strictCasing()
	if version == "" {
		version = "devel"
	}
	format := huma.Format{Marshal: encode, Unmarshal: json.Unmarshal}
	return humago.New(routes, huma.Config{
		OpenAPI: &huma.OpenAPI{Info: &huma.Info{Title: "greenroom", Version: version,
			Description: "Schedule meetings whose participants each get a desktop of their own. Times are RFC 3339, durations are Go durations (45m), " +
				"unknown fields are an error, and every error is a problem document (RFC 9457) that names the field and says what would be right."}},
		Formats:       map[string]huma.Format{"application/json": format, "json": format}, // "json" is how huma looks up problem+json
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{ownProblems},
	})
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // links are for reading
	return e.Encode(v)
}

// send answers with a document that is for its asker alone.
func send(w http.ResponseWriter, status int, v any) {
	var doc bytes.Buffer
	if err := encode(&doc, v); err != nil {
		httpx.ProblemOf(err).Write(w)
		return
	}
	write(w, status, doc.Bytes())
}

func write(w http.ResponseWriter, status int, doc []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(doc) // the asker has gone if this fails
}

// unknown answers what no route matches: 405 if another method would, else 404.
func unknown(routes *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
			if _, pattern := routes.Handler(probe); pattern != "/" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			httpx.NotFound.Problem("There is no such address in the API. All of them are listed under /docs.").Write(w)
			return
		}
		wrongMethod(w, r, allowed...)
	}
}

func wrongMethod(w http.ResponseWriter, r *http.Request, allowed ...string) {
	for _, method := range allowed {
		w.Header().Add("Allow", method)
	}
	httpx.WrongMethod.Problem(r.Method + " is not possible here. All calls are listed under /docs.").Write(w)
}
