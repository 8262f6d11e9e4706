package api

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

var keyForm = regexp.MustCompile(`^[!-~]{1,200}$`)

// readBody reads one JSON object strictly and gives what guards the write: the
// caller's key, and a digest of everything that was asked.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, into any) (disclosure.Once, error) {
	if !isJSON(r) {
		p := problem(http.StatusUnsupportedMediaType, "media-type", "This media type is not taken", "Send application/json.")
		p.Field, p.Rule = "Content-Type", "must be application/json"
		return disclosure.Once{}, p
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.Limits.WriteBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return disclosure.Once{}, problem(http.StatusRequestEntityTooLarge, "too-large", "The body is too large", "Nothing was done.")
	case err != nil:
		return disclosure.Once{}, badField("body", "must arrive whole").because(err)
	}
	var field *family.FieldError
	if err := family.ReadJSON(body, into); errors.As(err, &field) {
		return disclosure.Once{}, badField(field.Field, field.Rule)
	} else if err != nil {
		return disclosure.Once{}, err
	}
	sum := sha256.New()
	for _, part := range []string{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Kith-Purpose"), r.Header.Get("Kith-Children"), string(body)} {
		_, _ = io.WriteString(sum, part+"\x00") // a hash takes everything
	}
	o := disclosure.Once{Key: r.Header.Get("Idempotency-Key")}
	copy(o.Digest[:], sum.Sum(nil))
	return o, nil
}

// readWrite is readBody for what changes something: it must carry a key.
func (s *Server) readWrite(w http.ResponseWriter, r *http.Request, into any) (disclosure.Once, error) {
	if !keyForm.MatchString(r.Header.Get("Idempotency-Key")) {
		return disclosure.Once{}, badField("Idempotency-Key", "is required: 1 to 200 printable characters, a new one for each write, the same one when it is sent again")
	}
	return s.readBody(w, r, into)
}

func isJSON(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

// written answers a write that was made: 201 for something new, 200 for what
// changes something or was made before.
func (s *Server) written(w http.ResponseWriter, status int, a disclosure.Written) error {
	if a.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
		status = http.StatusOK
	}
	return writeJSONStatus(w, status, a.Receipt, a)
}

// notWritten turns the error of a write into a problem.
func (s *Server) notWritten(w http.ResponseWriter, r *http.Request, p identity.Principal, err error) error {
	var field *family.FieldError
	var old *family.Superseded
	var refused *disclosure.Denied
	var shown *Problem
	switch {
	case errors.As(err, &shown):
		return shown
	case errors.As(err, &field):
		return s.badRule(r, p, field)
	case errors.As(err, &old):
		x := problem(http.StatusConflict, "superseded", "This is no longer the latest version", "Nothing was saved. Open the record again, see what changed, and correct the latest version.")
		x.Latest, x.Changed = old.Latest, old.Changed
		return x
	case errors.As(err, &refused):
		if refused.Receipt != "" {
			w.Header().Set("Kith-Receipt", refused.Receipt)
		}
		return forbidden(refused.Code, refused.Shown, nil)
	case errors.Is(err, disclosure.ErrKeyReused):
		x := problem(http.StatusConflict, "key-reused", "This key was used with another content", "Nothing was done. Send a new Idempotency-Key with each new write.")
		x.Field, x.Rule = "Idempotency-Key", "stands for one write"
		return x
	case errors.Is(err, disclosure.ErrNotOwner):
		return forbidden("not-owner", "This is another agency's entry: only its owner can change it. If something in it is wrong, raise a concern.", nil)
	case errors.Is(err, family.ErrNoEntry), errors.Is(err, family.ErrNoConcern), errors.Is(err, disclosure.ErrUnknown), errors.Is(err, identity.ErrNoSuchWorker):
		return problem(http.StatusNotFound, "unknown", "There is nothing like that for your agency", "It is unknown, or not your agency's to change. Nothing was done.")
	case errors.Is(err, disclosure.ErrAlready):
		return problem(http.StatusConflict, "already", "This was done already", "It has ended, or was changed since you looked. Nothing was done.")
	case errors.Is(err, audit.ErrNotLogged):
		return unavailable(err)
	}
	return s.refused(w, err)
}

// badRule names field and rule; where a code is not known it lists those that are.
func (s *Server) badRule(r *http.Request, p identity.Principal, field *family.FieldError) error {
	x := badField(field.Field, field.Rule)
	var err error
	switch {
	case strings.HasSuffix(field.Rule, "not a section of the active policy"):
		x.Known, err = s.Door.SectionCodes(r.Context(), p.Partnership)
	case strings.HasSuffix(field.Rule, "not a purpose of the active policy"):
		x.Known, err = s.Door.PurposeCodes(r.Context(), p.Partnership)
	default:
		if _, list, ok := strings.Cut(field.Rule, "is none of "); ok {
			x.Known = strings.Split(list, ", ")
		}
	}
	if err != nil {
		return unavailable(err)
	}
	return x
}
