package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/agreement"
	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
)

// Config is what the face stands on. All but Logger, ReadTimeout and Demo are needed.
type Config struct {
	SignIn      *identity.SignIn
	Door        *disclosure.Door
	Directory   *identity.Directory
	Recorder    *audit.Recorder     // appends events that release nothing
	Log         *audit.Log          // a worker's own accesses, and what is new since the last one
	Failures    *audit.AuthFailures // counts sign-ins that failed
	Logger      *slog.Logger
	Now         func() time.Time
	ReadTimeout time.Duration // one page; default 10 s
	Demo        bool          // nobody here is real, and the pages say so
	// Office and Agreements are what the officers' pages stand on; without them there are none.
	Office     *policy.Office
	Agreements *agreement.Register
	Papers     *disclosure.Papers // documents made from the active version
	// Audit is what the pages about the log stand on, Admin the administrator's;
	// without them there are none.
	Audit *Auditing
	Admin *Admin
	// Checklist is what each child's record must hold up to date; nil is DefaultChecklist.
	Checklist []ChecklistItem
}

// Server answers the pages.
type Server struct {
	Config
	mux    *chi.Mux
	pages  pages
	words  words
	assets assets
	cop    *http.CrossOriginProtection
	made   reports // change reports of drafts
	origin *url.URL
}

// New reads templates, words and assets, and lays the routes.
func New(c Config) (*Server, error) {
	if c.SignIn == nil || c.Door == nil || c.Directory == nil || c.Recorder == nil || c.Log == nil || c.Failures == nil || c.Now == nil {
		return nil, errors.New("pages: something that they stand on is missing")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 10 * time.Second
	}
	if c.Checklist == nil {
		c.Checklist = DefaultChecklist()
	}
	s := &Server{Config: c, mux: chi.NewRouter(), cop: http.NewCrossOriginProtection()}
	var err error
	if s.origin, err = url.Parse(c.SignIn.Origin()); err != nil {
		return nil, fmt.Errorf("pages: base address: %w", err)
	}
	if s.words, err = readWords(); err != nil {
		return nil, err
	}
	if s.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if !s.assets.bundled {
		s.Logger.Warn("the pages' style is not built (make assets); they are readable and plain")
	}
	if s.pages, err = parsePages(s.words, s.assets, c.Now); err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

// routes is every page of this face, on one screen.
func (s *Server) routes() {
	s.mux.NotFound(s.open(s.unknown))
	s.mux.MethodNotAllowed(s.open(s.unknown))
	s.mux.Get("/assets/{file}", s.getAsset)

	s.mux.Get("/sign-in", s.open(s.showSignIn))
	s.mux.Post("/sign-in", s.open(s.beginSignIn))
	s.mux.Get(identity.CallbackPath, s.open(s.finishSignIn))
	s.mux.Post("/sign-out", s.open(s.signOut))
	s.mux.Get(identity.SignedOutPath, s.open(s.signedOut))
	s.mux.Post(identity.BackChannelPath, s.open(s.backChannel))
	s.mux.Get("/help", s.open(s.help))
	s.mux.Get("/accessibility", s.open(s.accessibility))

	s.mux.Get("/", s.worker(s.myFamilies))
	s.mux.Post("/session/extend", s.worker(s.extend))
	s.mux.Get("/families/{family}", s.worker(s.family))
	s.mux.Get("/families/{family}/parts/{part}", s.worker(s.part))
	s.mux.Get("/families/{family}/purpose", s.worker(s.showPurpose))
	s.mux.Post("/families/{family}/purpose", s.worker(s.choosePurpose))
	s.mux.Get("/families/{family}/print", s.worker(s.choosePrint))
	s.mux.Post("/families/{family}/print", s.worker(s.print))
	s.mux.Get("/me/accesses", s.worker(s.myAccesses))
	s.workRoutes()

	if s.Office != nil && s.Agreements != nil {
		s.policyRoutes()
	}
	if s.Audit != nil {
		s.auditRoutes()
	}
	if s.Admin != nil {
		s.adminRoutes()
	}
}

// ServeHTTP makes the server a handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handler answers a request or returns why it did not; an answer is written once.
type handler func(w http.ResponseWriter, r *http.Request, v visit) error

// visit is one request: whose, and which.
type visit struct {
	request string
	session identity.Session // zero where nobody is signed in
	token   string           // of the session; never shown
	here    string           // the page that was asked for, for coming back to it
}

func (v visit) signedIn() bool { return v.session.Principal.Worker != uuid.Nil }

func (v visit) by() identity.Principal { return v.session.Principal }

// worker is for those who are signed in. Whoever is not goes to the sign-in
// page and comes back afterwards, to a page of ours and by reading alone.
func (s *Server) worker(h handler) http.HandlerFunc { return s.open(s.signedIn(h)) }

// signedIn sends whoever is not signed in to the sign-in page.
func (s *Server) signedIn(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, v visit) error {
		if v.signedIn() {
			if underCover(r, v) {
				http.Redirect(w, r, "/covered", http.StatusSeeOther)
				return nil
			}
			if draft := draftIn(r); draft != "" {
				v.here = "/drafts/" + draft
			}
			return h(w, r, v)
		}
		back := "/"
		if kept := s.keepUnsigned(r); kept != "" {
			back = kept
		}
		if r.Method == http.MethodGet {
			back = r.URL.RequestURI()
		}
		http.Redirect(w, r, "/sign-in?"+url.Values{"back": {identity.LocalPath(back)}}.Encode(), http.StatusSeeOther)
		return nil
	}
}

// here is the address of a page that can be asked for again. A form that was
// sent has its own page's.
func here(r *http.Request) string {
	if r.Method != http.MethodGet {
		return identity.LocalPath(r.URL.Path)
	}
	return identity.LocalPath(r.URL.RequestURI())
}

// open gives a request its id, the browser's defences and its session if there
// is one; it recovers, writes an error page where the handler returned an
// error, and logs once. The log line names the route and never the address:
// ids of families are personal data.
func (s *Server) open(h handler) http.HandlerFunc { return s.within(s.ReadTimeout, formMost, h) }

// formMost is the longest form in bytes, but for those that carry a file.
const formMost = 64 << 10

// within is open with limits of its own.
func (s *Server) within(limit time.Duration, most int64, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		v := visit{request: uuid.NewString(), here: here(r)}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, most)
		// A browser that sends its form, or takes the page, slower than that holds nothing for ever.
		rc := http.NewResponseController(w)
		_, _ = rc.SetReadDeadline(start.Add(limit)), rc.SetWriteDeadline(start.Add(limit+5*time.Second))
		out := &recorder{ResponseWriter: w}
		s.defend(out.Header(), v.request)

		err := s.guarded(func(out http.ResponseWriter, r *http.Request) error {
			var err error
			if err = s.admit(r); err != nil {
				return err
			}
			if v, err = s.recognise(out, r, v); err != nil {
				return err
			}
			return h(out, r, v)
		}, out, r)
		var f *fault
		if err != nil {
			if !errors.As(err, &f) {
				f = &fault{status: http.StatusServiceUnavailable, key: "error.busy", cause: err}
			}
			if out.status == 0 {
				s.writeFault(out, r, v, f)
			}
		}
		route := chi.RouteContext(r.Context()).RoutePattern()
		if route == "" {
			route = "none"
		}
		attrs := []slog.Attr{slog.String("request", v.request), slog.String("method", r.Method), slog.String("route", route),
			slog.Int("status", out.status), slog.Int64("bytes", out.bytes), slog.Duration("took", time.Since(start))}
		level := slog.LevelInfo
		if f != nil && f.cause != nil {
			attrs = append(attrs, slog.String("cause", f.cause.Error()))
			if f.status >= 500 {
				level = slog.LevelError
			}
		}
		s.Logger.LogAttrs(r.Context(), level, "page", attrs...)
	}
}

// defend sets what every answer carries: nothing is kept by the browser or on
// the way, nothing runs or loads that is not ours, nobody frames us.
func (s *Server) defend(h http.Header, request string) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Cookie, Sec-Purpose, Sec-Fetch-Site")
	h.Set("Kith-Request", request)
	if s.origin.Scheme == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// admit refuses what no person asked for: a prefetch would write a row of the
// log for a page that nobody read, and a form of another site's is not the worker's.
func (s *Server) admit(r *http.Request) error {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if v := strings.ToLower(r.Header.Get(name)); strings.Contains(v, "prefetch") || strings.Contains(v, "prerender") || strings.Contains(v, "preview") {
			return &fault{status: http.StatusForbidden, key: "error.prefetch"}
		}
	}
	if err := s.cop.Check(r); err != nil {
		return &fault{status: http.StatusForbidden, key: "error.elsewhere", cause: err}
	}
	return nil
}

// guarded turns a panic into an error, so that one request cannot end the hub.
func (s *Server) guarded(h func(http.ResponseWriter, *http.Request) error, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			// The value may hold personal data: the type and the place say enough.
			err = fmt.Errorf("panic of type %T at %s", v, place(debug.Stack()))
		}
	}()
	return h(w, r)
}

func place(stack []byte) string {
	lines := bytes.Split(stack, []byte("\n"))
	for i, line := range lines {
		if bytes.Contains(line, []byte("kith/internal")) && !bytes.Contains(line, []byte("guarded")) && i+1 < len(lines) {
			return string(bytes.TrimSpace(bytes.SplitN(lines[i+1], []byte(" +0x"), 2)[0]))
		}
	}
	return "unknown place"
}

// recorder remembers what was written, for the log line.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
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
