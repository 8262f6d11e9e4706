package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
)

// formats by media type.
var formats = map[string]string{
	"application/x-ndjson": family.FormatNDJSON,
	"application/json":     family.FormatDfE,
	"application/xml":      family.FormatCensus,
	"text/xml":             family.FormatCensus,
}

// contribute answers POST /v1/submissions: a report line per record while they
// are taken, and a last line with the totals. A record is committed before its
// line leaves. The submission is an event before its first record is taken,
// and another one with the totals when it is done.
func (s *Server) contribute(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if !p.System && !p.Has(identity.RoleSystem) {
		return forbidden("role", "Bulk contributions come from an agency's case system.", nil)
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	format, known := formats[media]
	if err != nil || !known {
		p := problem(http.StatusUnsupportedMediaType, "media-type", "This media type is not taken", "Send application/x-ndjson; children's social care also application/xml (the Children in Need census) and application/json (the daily payload).")
		p.Field, p.Rule = "Content-Type", "must be application/x-ndjson, application/xml or application/json"
		return p
	}
	if (format == family.FormatCensus || format == family.FormatDfE) && p.Kind != "CSC" {
		return forbidden("census", "The Children in Need census and the daily payload are sent by children's social care.", nil)
	}
	key := r.Header.Get("Idempotency-Key")
	begun := eventBy(r.Context(), p, audit.KindSubmission, audit.OutcomeDone)
	begun.Details = map[string]string{"format": format, "phase": "begun"}
	receipt, err := s.Recorder.Append(r.Context(), begun)
	if err != nil {
		return unavailable(err)
	}
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex()

	report := &reportWriter{w: w, rc: rc, receipt: receipt.String()}
	body := http.MaxBytesReader(w, r.Body, s.Limits.SubmissionBytes)
	totals, err := s.Intake.Submit(r.Context(), p, format, key, body, report.line)
	done := eventBy(r.Context(), p, audit.KindSubmission, audit.OutcomeDone)
	done.Details = map[string]string{
		"format": format, "phase": "finished",
		"taken": strconv.Itoa(totals.Taken), "refused": strconv.Itoa(totals.Refused), "new": strconv.Itoa(totals.New),
		"changed": strconv.Itoa(totals.Changed), "unchanged": strconv.Itoa(totals.Unchanged),
	}
	if err != nil || totals.Refused > 0 {
		done.Outcome = audit.OutcomePartly
	}
	if _, logged := s.Recorder.Append(r.Context(), done); logged != nil && err == nil {
		err = logged
	}
	if err != nil {
		return s.broken(report, err)
	}
	report.start()
	_, err = fmt.Fprintln(w, totals)
	return ignoreGone(err)
}

// broken answers a submission that could not be taken whole. Where report
// lines have left already, the last line says so instead of a status.
func (s *Server) broken(report *reportWriter, err error) error {
	var large *http.MaxBytesError
	var p *Problem
	switch {
	case errors.Is(err, family.ErrKeyReused):
		p = problem(http.StatusConflict, "key-reused", "This key was used with another body", "Nothing was taken. Send a changed file under a new Idempotency-Key.")
		p.Field, p.Rule = "Idempotency-Key", "stands for one body"
	case errors.As(err, &large):
		p = problem(http.StatusRequestEntityTooLarge, "too-large", "The body is too large", "Send it in several files of at most "+strconv.FormatInt(large.Limit>>20, 10)+" MiB. What the report lists was taken.")
	default:
		p = unavailable(err)
		p.Detail = "The submission broke off. What the report lists was taken; send the same file again under the same key to take the rest."
	}
	p.cause = err
	if !report.started {
		return p
	}
	line, merr := json.Marshal(map[string]string{"outcome": "broken-off", "rule": p.Detail})
	if merr == nil {
		_, _ = report.w.Write(append(line, '\n'))
	}
	return p
}

// reportWriter sends each line as soon as its record is committed.
type reportWriter struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	receipt string
	started bool
	lines   int
}

func (r *reportWriter) start() {
	if r.started {
		return
	}
	r.started = true
	r.w.Header().Set("Content-Type", "application/x-ndjson")
	r.w.Header().Set("Kith-Receipt", r.receipt)
	r.w.WriteHeader(http.StatusOK)
}

func (r *reportWriter) line(l family.Line) {
	r.start()
	text, err := json.Marshal(l)
	if err != nil {
		return
	}
	_, _ = r.w.Write(append(text, '\n'))
	if r.lines++; r.lines%64 == 0 {
		_ = r.rc.Flush()
	}
}
