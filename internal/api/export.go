package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
	"kith/internal/identity"
)

// exportAccessEvents answers GET /v1/access-events/export. What goes wrong
// once the first byte has left cuts the answer off: half a file must not look
// like a whole one.
func (s *Server) exportAccessEvents(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	scope, err := scopeOf(p)
	if err != nil {
		return err
	}
	filter, _, err := filterOf(r)
	if err != nil {
		return err
	}
	format := r.URL.Query().Get("format")
	if format == "" {
		format = "ndjson"
	}
	if format == "ndjson" && s.Tree == nil {
		return unavailable(errNoTree)
	}
	from, err := s.resumeExport(r, format, scope)
	if err != nil {
		return err
	}
	e := eventBy(r.Context(), p, audit.KindLogExport, audit.OutcomeDone)
	e.Details = filterDetails(r)
	e.Details["format"], e.Details["scope"] = format, strings.ToLower(scope.Name())
	if from.mark != nil {
		e.Details["after"] = strconv.FormatInt(from.mark.Next, 10)
	}
	receipt, err := s.Recorder.Append(r.Context(), e)
	if err != nil {
		return unavailable(err)
	}
	w.Header().Set("Kith-Receipt", receipt.String())
	out := &startedWriter{w: w}
	switch format {
	case "ndjson":
		err = s.exportProven(r, out, scope, filter, from.mark, receipt.Event())
	case "csv":
		err = s.exportCSV(r.Context(), out, scope, filter, from.cursor)
	case "fhir":
		err = s.exportFHIR(r.Context(), out, scope, filter, from.cursor)
	default:
		return badField("format", "must be one of ndjson, csv, fhir")
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tree.ErrNoCheckpoint):
		return problem(http.StatusNotFound, "no-checkpoint", "There is no checkpoint yet", "The log is empty, or its first entries wait for their leaf. Try again in a second.")
	case !out.started:
		return unavailable(err)
	}
	s.Logger.ErrorContext(r.Context(), "export cut off", "request", requestID(r.Context()), "cause", err.Error())
	panic(http.ErrAbortHandler)
}

// ExportLog streams an export, as GET /v1/access-events/export does, to a caller
// whom another face has signed in. The query is that route's.
func (s *Server) ExportLog(w http.ResponseWriter, r *http.Request, p identity.Principal, request string) error {
	return s.exportAccessEvents(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, request)), p)
}

// startedWriter knows whether anything has left.
type startedWriter struct {
	w       http.ResponseWriter
	started bool
}

func (s *startedWriter) Write(b []byte) (int, error) {
	s.started = true
	return s.w.Write(b)
}

func (s *startedWriter) Header() http.Header { return s.w.Header() }

// exportProven streams the export that kith-verify checks.
func (s *Server) exportProven(r *http.Request, w *startedWriter, scope audit.Scope, f audit.Filter, after *proof.ExportMark, event uuid.UUID) error {
	number := 0
	if v := r.URL.Query().Get("log"); v != "" {
		number, _ = strconv.Atoi(v) // the spec has checked it
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	done, err := s.Tree.Reader.Export(r.Context(), s.Log, tree.Export{
		Scope: scope, From: f.From, Until: f.Until, Number: number, Replicas: s.Tree.Replicas, Log: s.Tree.Log,
		Made: s.Now(), After: after, Sign: s.Recorder.SignExport,
		View: func(rec *audit.Record) ([]byte, error) {
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			err := enc.Encode(eventOf(rec))
			return bytes.TrimSpace(b.Bytes()), err
		},
	}, w)
	if err != nil {
		return err
	}
	return s.Recorder.Exported(r.Context(), event, scope, done.Number, done.First, done.End, done.Digest)
}

// eachRecord pages through the log, newest first, behind a cursor where there is
// one.
func (s *Server) eachRecord(ctx context.Context, scope audit.Scope, f audit.Filter, after string, each func(*audit.Record) error) error {
	page := audit.Page{Limit: audit.MaxLimit, After: after}
	if f.Until.IsZero() {
		f.Until = s.Now().Add(time.Minute) // an export must come to an end while others read
	}
	for {
		records, next, err := s.Log.List(ctx, scope, f, page)
		if err != nil {
			return err
		}
		for i := range records {
			if err := each(&records[i]); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page.After = next
	}
}

// resumption is where an export that was cut off goes on.
type resumption struct {
	mark   *proof.ExportMark // ndjson
	cursor string            // csv and fhir
}

// resumeExport reads `after`: for ndjson the last mark of the file, which a
// replica signed, so that the hub goes on with nothing but its own file; for
// the others the id of the last event that arrived whole.
func (s *Server) resumeExport(r *http.Request, format string, scope audit.Scope) (resumption, error) {
	text := r.URL.Query().Get("after")
	if text == "" {
		return resumption{}, nil
	}
	if format == "ndjson" {
		m, err := proof.ParseMark(text)
		if err == nil {
			err = m.Verify(proof.NewKeys(s.Tree.Replicas...))
		}
		if err != nil || m.Scope != scope.Name() {
			return resumption{}, badField("after", "must be the last mark of an export that you began yourself")
		}
		return resumption{mark: &m}, nil
	}
	id, err := parseID(text)
	if err != nil {
		return resumption{}, badField("after", "must be the id of the last event that arrived whole")
	}
	cursor, err := s.Log.Behind(r.Context(), scope, id)
	if errors.Is(err, audit.ErrNotFound) {
		return resumption{}, badField("after", "must be the id of the last event that arrived whole")
	}
	if err != nil {
		return resumption{}, unavailable(err)
	}
	return resumption{cursor: cursor}, nil
}

var csvHead = []string{
	"id", "occurred_at", "recorded_at", "kind", "outcome", "agency", "acting_for", "worker", "name", "client", "roles", "purpose", "reason",
	"refusal", "declared", "emergency", "family", "children", "subjects", "level", "entries", "sections", "owners", "clauses", "receipt",
}

// exportCSV streams RFC 4180, UTF-8, one event a row.
func (s *Server) exportCSV(ctx context.Context, w *startedWriter, scope audit.Scope, f audit.Filter, after string) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="access-events.csv"`)
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if after == "" {
		if err := out.Write(csvHead); err != nil {
			return err
		}
	}
	err := s.eachRecord(ctx, scope, f, after, func(r *audit.Record) error {
		var sections, owners, clauses []string
		for _, x := range r.Released {
			sections, owners, clauses = add(sections, x.Section), add(owners, x.Owner), add(clauses, x.Clauses...)
		}
		row := []string{
			r.ID.String(), stamp(r.Occurred), stamp(r.Recorded), string(r.Kind), string(r.Outcome), r.Agency, r.ActingFor, idOf(r.Worker), r.Name, r.Client,
			strings.Join(r.Roles, " "), r.Purpose, r.Reason, r.Refusal, strconv.FormatBool(r.Declared), strconv.FormatBool(r.Emergency), idOf(r.Family),
			strings.Join(r.Children, " "), strings.Join(r.Subjects, " "), r.Level.String(), strconv.Itoa(r.Count),
			strings.Join(sections, " "), strings.Join(owners, " "), strings.Join(clauses, " "), r.Receipt,
		}
		for i := range row {
			row[i] = audit.Cell(row[i])
		}
		return out.Write(row)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func add(list []string, more ...string) []string {
	for _, x := range more {
		if x != "" && !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	return list
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func idOf(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
