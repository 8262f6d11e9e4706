package api

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/agreement"
	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/outbox"
	"kith/internal/policy"
)

//go:embed openapi.yaml
var spec []byte

// Config is what the face stands on.
type Config struct {
	Verifier   *identity.Verifier
	Door       *disclosure.Door
	Recorder   *audit.Recorder       // appends events that release nothing
	Log        *audit.Log            // reads the log, as the auditor's role
	Reviews    *disclosure.Reviews   // what the auditor and the privacy officers look at
	Explain    *disclosure.Explainer // explains and replays the log; nil: its routes answer 503
	Tree       *LogTree              // proves the log; nil: a hub without a tree, whose routes answer 503
	Keeper     *audit.Keeper         // erases, holds and drops; nil: a hub without the retention role, whose routes answer 503
	Failures   *audit.AuthFailures   // counts callers without a good token
	Intake     *family.Intake        // takes contributions
	Office     *policy.Office        // where officers change the policy
	Agreements *agreement.Register   // where parties act on live agreements
	Papers     *disclosure.Papers    // documents made from the active version
	Outbox     *outbox.Box           // word to those who must act
	Logger     *slog.Logger
	Metrics    *Metrics
	Limits     Limits
	Now        func() time.Time // default time.Now
}

// Limits bounds what one request may cost. The zero value of a field means its default.
type Limits struct {
	ReadTimeout       time.Duration // one answer about a family or the log; default 10 s
	SubmissionTimeout time.Duration // one submission; default 30 min
	SubmissionBytes   int64         // its body; default 1 GiB
	HeaderBytes       int           // all headers; default 64 KiB
	WriteBytes        int64         // the body of a single write; default 512 KiB
	AnswerBytes       int           // one answer that is no stream; default 8 MiB
	RequestsPerMinute int           // of one caller, at each replica; default 600, negative none
}

func (l Limits) withDefaults() Limits {
	if l.ReadTimeout == 0 {
		l.ReadTimeout = 10 * time.Second
	}
	if l.SubmissionTimeout == 0 {
		l.SubmissionTimeout = 30 * time.Minute
	}
	if l.SubmissionBytes == 0 {
		l.SubmissionBytes = 1 << 30
	}
	if l.RequestsPerMinute == 0 {
		l.RequestsPerMinute = 600
	}
	if l.WriteBytes == 0 {
		l.WriteBytes = 512 << 10
	}
	if l.AnswerBytes == 0 {
		l.AnswerBytes = 8 << 20
	}
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 64 << 10
	}
	return l
}

// Server answers the JSON routes.
type Server struct {
	Config
	doc  *openapi3.T
	mux  *chi.Mux
	pace *pace
}

// New checks the spec and lays the routes.
func New(c Config) (*Server, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(spec)
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	c.Limits = c.Limits.withDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{Config: c, doc: doc, mux: chi.NewRouter(), pace: newPace()}
	s.routes()
	return s, nil
}

// routes is every route of this face, on one screen.
func (s *Server) routes() {
	s.mux.NotFound(s.plain(func(http.ResponseWriter, *http.Request) error {
		return problem(http.StatusNotFound, "no-such-route", "No such route", "The routes are described at /openapi.yaml.")
	}))
	s.mux.MethodNotAllowed(s.plain(func(http.ResponseWriter, *http.Request) error {
		return problem(http.StatusMethodNotAllowed, "method", "This route does not take that method", "The routes are described at /openapi.yaml.")
	}))
	s.mux.Get("/openapi.yaml", s.plain(s.getSpec))

	s.mux.Get("/v1/families/{family}", s.caller(s.Limits.ReadTimeout, s.readFamily))
	s.mux.Post("/v1/searches", s.caller(s.Limits.ReadTimeout, s.searchPeople))
	s.mux.Post("/v1/submissions", s.caller(s.Limits.SubmissionTimeout, s.contribute))

	s.mux.Post("/v1/entries", s.caller(s.Limits.ReadTimeout, s.writeEntry))
	s.mux.Post("/v1/entries/{entry}/versions", s.caller(s.Limits.ReadTimeout, s.correctEntry))
	s.mux.Post("/v1/entries/{entry}/tags", s.caller(s.Limits.ReadTimeout, s.tagEntry))
	s.mux.Post("/v1/entries/{entry}/summary", s.caller(s.Limits.ReadTimeout, s.summariseEntry))
	s.mux.Post("/v1/entries/{entry}/concerns", s.caller(s.Limits.ReadTimeout, s.raiseConcern))
	s.mux.Get("/v1/concerns", s.caller(s.Limits.ReadTimeout, s.listConcerns))
	s.mux.Post("/v1/concerns/{concern}/answer", s.caller(s.Limits.ReadTimeout, s.answerConcern))
	s.mux.Post("/v1/people/{person}/told-and-agreed", s.caller(s.Limits.ReadTimeout, s.tellPerson))

	s.mux.Get("/v1/involvements", s.caller(s.Limits.ReadTimeout, s.listInvolvements))
	s.mux.Post("/v1/involvements", s.caller(s.Limits.ReadTimeout, s.involve))
	s.mux.Post("/v1/involvements/{involvement}/end", s.caller(s.Limits.ReadTimeout, s.endInvolvement))
	s.mux.Get("/v1/grants", s.caller(s.Limits.ReadTimeout, s.listGrants))
	s.mux.Post("/v1/grants", s.caller(s.Limits.ReadTimeout, s.giveGrant))
	s.mux.Post("/v1/grants/{grant}/end", s.caller(s.Limits.ReadTimeout, s.revokeGrant))
	s.mux.Get("/v1/people/{person}/restrictions", s.caller(s.Limits.ReadTimeout, s.listRestrictions))
	s.mux.Post("/v1/people/{person}/restrictions", s.caller(s.Limits.ReadTimeout, s.setRestriction))
	s.mux.Post("/v1/restrictions/{restriction}/review", s.caller(s.Limits.ReadTimeout, s.reviewRestriction))
	s.mux.Post("/v1/restrictions/{restriction}/end", s.caller(s.Limits.ReadTimeout, s.endRestriction))
	s.mux.Get("/v1/memberships", s.caller(s.Limits.ReadTimeout, s.listMemberships))
	s.mux.Post("/v1/memberships/{membership}/confirmation", s.caller(s.Limits.ReadTimeout, s.confirmMembership))
	s.mux.Get("/v1/people/{person}/records", s.caller(s.Limits.ReadTimeout, s.listRecords))
	s.mux.Post("/v1/records/{record}/separation", s.caller(s.Limits.ReadTimeout, s.separateRecord))
	s.mux.Get("/v1/workers", s.caller(s.Limits.ReadTimeout, s.listWorkers))
	s.mux.Post("/v1/workers", s.caller(s.Limits.ReadTimeout, s.changeWorker))

	s.policyRoutes()
	s.agreementRoutes()
	s.paperRoutes()
	s.mux.Get("/v1/outbox", s.caller(s.Limits.ReadTimeout, s.listOutbox))
	s.disposalRoutes()
	s.reviewRoutes()
	s.mux.Get("/v1/access-events", s.caller(s.Limits.ReadTimeout, s.listAccessEvents))
	s.mux.Get("/v1/access-events/export", s.caller(s.Limits.SubmissionTimeout, s.exportAccessEvents))
	s.mux.Get("/v1/access-events/{event}", s.caller(s.Limits.ReadTimeout, s.readAccessEvent))
	s.explainRoutes()
	s.mux.Get("/v1/access-events/{event}/proof", s.caller(s.Limits.ReadTimeout, s.proveAccessEvent))
	s.mux.Get("/v1/log/checkpoint", s.caller(s.Limits.ReadTimeout, s.getCheckpoint))
	s.mux.Get("/v1/log/tile/{level}/{a}", s.caller(s.Limits.ReadTimeout, s.getTile))
	s.mux.Get("/v1/log/tile/{level}/{a}/{b}", s.caller(s.Limits.ReadTimeout, s.getTile))
	s.mux.Get("/v1/log/tile/{level}/{a}/{b}/{c}", s.caller(s.Limits.ReadTimeout, s.getTile))
	s.mux.Get("/v1/log/tile/{level}/{a}/{b}/{c}/{d}", s.caller(s.Limits.ReadTimeout, s.getTile))
	s.mux.Get("/v1/log/{log}/checkpoint", s.caller(s.Limits.ReadTimeout, s.getCheckpoint))
	s.mux.Get("/v1/log/{log}/tile/{level}/{a}", s.caller(s.Limits.ReadTimeout, s.getTile))
	s.mux.Get("/v1/log/{log}/tile/{level}/{a}/{b}", s.caller(s.Limits.ReadTimeout, s.getTile))
	s.mux.Get("/v1/log/{log}/tile/{level}/{a}/{b}/{c}", s.caller(s.Limits.ReadTimeout, s.getTile))
	s.mux.Get("/v1/log/{log}/tile/{level}/{a}/{b}/{c}/{d}", s.caller(s.Limits.ReadTimeout, s.getTile))
	s.mux.Get("/v1/log/status", s.caller(s.Limits.ReadTimeout, s.getLogStatus))
	s.mux.Post("/v1/log/resumptions", s.caller(s.Limits.ReadTimeout, s.resumeLog))
}

// ServeHTTP makes the server a handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handler answers a request or returns why it did not; an answer is written once.
type handler func(w http.ResponseWriter, r *http.Request) error

// callerHandler is a handler for a verified caller.
type callerHandler func(w http.ResponseWriter, r *http.Request, p identity.Principal) error

type requestIDKey struct{}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// caller verifies who asks, validates the request against the spec and bounds its time.
func (s *Server) caller(limit time.Duration, h callerHandler) http.HandlerFunc {
	return s.plain(func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		r = r.WithContext(ctx)
		p, err := s.authenticate(r)
		if err != nil {
			return err
		}
		if err := s.keepPace(w, r, p); err != nil {
			return err
		}
		within(w, limit)
		if err := s.validate(r); err != nil {
			return err
		}
		return h(w, r, p)
	})
}

// plain gives a request its id, recovers, writes a problem where the handler
// returned one, and logs once. The log line names the route and never the
// address: ids of families are personal data.
func (s *Server) plain(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := uuid.NewString()
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		out := &recorder{ResponseWriter: w, most: s.Limits.AnswerBytes}
		within(out, s.Limits.ReadTimeout)
		head := out.Header()
		head.Set("Cache-Control", "no-store")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Kith-Request", id)

		err := s.guarded(h, out, r)
		var p *Problem
		if err != nil {
			if !errors.As(err, &p) {
				p = problem(http.StatusInternalServerError, "internal", "Nothing was shown", "Something went wrong here. Try again; if it stays, tell the hub's operator the request id.").because(err)
			}
			p.RequestID = id
			if out.status == 0 {
				writeProblem(out, p)
			}
		}
		route := chi.RouteContext(r.Context()).RoutePattern()
		if route == "" {
			route = "none"
		}
		s.Metrics.request(route, out.status, time.Since(start))
		level := slog.LevelInfo
		attrs := []slog.Attr{slog.String("request", id), slog.String("method", r.Method), slog.String("route", route),
			slog.Int("status", out.status), slog.Int64("bytes", out.bytes), slog.Duration("took", time.Since(start))}
		if p != nil && p.cause != nil {
			attrs = append(attrs, slog.String("cause", p.cause.Error()))
			if p.Status >= 500 {
				level = slog.LevelError
			}
		}
		s.Logger.LogAttrs(r.Context(), level, "request", attrs...)
	}
}

// answering is how long an answer may take to leave once its time is up.
const answering = 5 * time.Second

// within ends the connection of a client who sends the body, or takes the
// answer, more slowly than the route's limit allows: what waits for a client is
// not ended by the request's context.
func within(w http.ResponseWriter, limit time.Duration) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(limit)) // no connection, no deadline: a test's recorder
	_ = rc.SetWriteDeadline(time.Now().Add(limit + answering))
}

// guarded turns a panic into an error, so that one request cannot end the hub.
func (s *Server) guarded(h handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			// The value may hold personal data: the type and the place say enough.
			err = fmt.Errorf("panic of type %T at %s", v, firstFrames(debug.Stack()))
		}
	}()
	return h(w, r)
}

func firstFrames(stack []byte) string {
	lines := bytes.Split(stack, []byte("\n"))
	for i, line := range lines {
		if bytes.Contains(line, []byte("kith/internal")) && !bytes.Contains(line, []byte("guarded")) && i+1 < len(lines) {
			return string(bytes.TrimSpace(bytes.SplitN(lines[i+1], []byte(" +0x"), 2)[0]))
		}
	}
	return "unknown place"
}

func (s *Server) getSpec(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, err := w.Write(spec)
	return ignoreGone(err)
}

// ignoreGone: an answer that the client no longer reads is not our failure.
func ignoreGone(error) error { return nil }

// recorder remembers what was written, for the log line.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	most   int // of an answer that is written whole; 0 no limit
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
