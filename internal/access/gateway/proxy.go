package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"greenroom/internal/access"
	"greenroom/internal/access/backend"
	"greenroom/internal/httpx"
	"greenroom/internal/logkey"
	"greenroom/internal/meetings"
)

// target finds the desktop of a request on its way there.
type target struct {
	backend.Target

	base   context.Context     // of the gateway, which outlives the request
	writer http.ResponseWriter // of a WebSocket's request
	taken  *bool               // set once a session has begun; nil if none is asked for
}

type (
	targetKey struct{}
	baseKey   struct{}
)

func targetOf(ctx context.Context) target { return ctx.Value(targetKey{}).(target) }

// pass sends the request to the desktop and its answer back.
func (g *Gateway) pass(w http.ResponseWriter, r *http.Request, way meetings.Way) {
	t := target{Target: backend.Target{Way: way, Client: r.RemoteAddr}}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }); ok {
		t.Local = local.String()
	}
	if r.Header.Get("Upgrade") != "" {
		if !g.sockets.Enter() {
			g.refuseStopping(w)
			return
		}
		taken := false
		t.base, t.writer, t.taken = r.Context().Value(baseKey{}).(context.Context), w, &taken
		defer func() {
			if !taken {
				g.sockets.Leave()
			}
		}()
	} else if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.o.BodyTime)) // every connection of a server has it
		r.Body = &timedBody{w, http.MaxBytesReader(w, r.Body, maxBody)}
	}
	g.counts.Pass()
	g.proxy.ServeHTTP(w, r.WithContext(backend.With(context.WithValue(r.Context(), targetKey{}, t), t.Target)))
}

func (g *Gateway) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: g.back, Rewrite: rewrite, ModifyResponse: g.answered, ErrorHandler: g.unanswered, BufferPool: &backend.Buffers{},
		ErrorLog: slog.NewLogLogger(g.o.Logger.Handler(), slog.LevelDebug),
	}
}

// claims are what others call the client, and what we never believe. The proxy itself takes away Forwarded,
// X-Forwarded-* and what is meant for one hop only.
var claims = []string{"X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Originating-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "Via"}

// rewrite makes the request that the desktop gets.
func rewrite(p *httputil.ProxyRequest) {
	t := targetOf(p.In.Context())
	p.Out.URL.Scheme, p.Out.URL.Host = "https", backend.Host(t.Way.Hostname, httpx.ClientAddr(p.In))
	p.Out.Host = p.In.Host
	for _, name := range claims {
		p.Out.Header.Del(name)
	}
	for name := range p.Out.Header {
		if strings.HasPrefix(name, "X-Forwarded-") {
			p.Out.Header.Del(name)
		}
	}
	p.SetXForwarded()
	p.Out.Header.Del("Cookie")
	for _, c := range p.In.Cookies() { // the desktop is hostile ground: what opens the gateway stays here
		if c.Name != cookieOfPass {
			p.Out.AddCookie(c)
		}
	}
}

// clean takes out of a desktop's answer what is not its to say.
func clean(resp *http.Response) {
	cookies := resp.Header["Set-Cookie"]
	resp.Header.Del("Set-Cookie")
	for _, line := range cookies {
		c, err := http.ParseSetCookie(line)
		if err == nil && c.Domain == "" && c.Name != cookieOfPass { // one with a domain would reach other desktops
			resp.Header.Add("Set-Cookie", line)
		}
	}
}

// answered looks at a desktop's answer before it goes out.
func (g *Gateway) answered(resp *http.Response) error {
	clean(resp)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	t := targetOf(resp.Request.Context())
	if t.taken == nil {
		return errors.New("the desktop switches protocols unasked")
	}
	if err := g.take(t.base, t.writer, resp); err != nil {
		return err
	}
	*t.taken = true
	return errTaken
}

// unanswered says in words that there is no answer.
func (g *Gateway) unanswered(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errTaken) {
		return
	}
	t := targetOf(r.Context())
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		g.o.Logger.DebugContext(r.Context(), "request too large", logkey.Name, t.Way.Hostname, logkey.Limit, tooLarge.Limit)
		g.refuse(w, http.StatusRequestEntityTooLarge, message{Heading: "That is too much", Text: "A request may hold 1 MiB.", Way: t.Way})
		return
	}
	if errors.Is(err, errSlow) {
		g.refuse(w, http.StatusRequestTimeout, message{Heading: "That took too long", Text: "The connection is too slow for this request.", Way: t.Way})
		return
	}
	if r.Context().Err() != nil { // the participant has gone
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	g.counts.Refuse(access.Unreachable)
	g.o.Logger.WarnContext(r.Context(), "desktop did not answer", logkey.Name, t.Way.Hostname, logkey.Address, t.Way.Addresses, logkey.Err, err)
	m := message{Heading: "Your desktop does not answer", Text: "It may be starting, or ending.", Way: t.Way, Retry: true}
	if errors.Is(err, backend.ErrOtherKey) {
		m = message{Heading: "Something else answers in your desktop's place", Text: "You were kept away from it, and nothing of yours was sent there. Tell the organiser.", Way: t.Way}
	}
	g.refuse(w, http.StatusBadGateway, m)
}
