package family

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Formats that Submit reads.
const (
	FormatCensus = "cin-census"
	FormatNDJSON = "ndjson"
)

// formats that only children's social care sends.
func socialFormat(format string) bool { return format == FormatCensus || format == FormatDfE }

// Refused is the outcome of a record of which nothing was kept.
const Refused Outcome = "refused"

// Errors by which a caller of Submit answers, beside ErrKeyReused.
var (
	ErrUnknownFormat = errors.New("the format is none of cin-census, dfe-csc, ndjson")
	ErrNotOfThisKind = errors.New("a census or daily payload is sent by children's social care")
)

// Line is what a submission's report says of one record, or of one child of a
// census. It tells what became of what the sender sent, and nothing about what
// others hold: "new" is new to this sender.
type Line struct {
	Line     int      `json:"line"`
	Child    string   `json:"child,omitempty"` // the sender's own id
	Outcome  Outcome  `json:"outcome"`
	Field    string   `json:"field,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Submit takes a whole file: it streams the body, takes or refuses each record
// (each child of a census) by itself, and calls report with a line for each,
// in the order of the file, once the record is committed. It holds one batch
// of records at a time, whatever the length of the file.
//
// The same key with the same content changes nothing and gives the totals of
// the first time, without lines; with another content it is ErrKeyReused and
// nothing was taken. A submission that broke off can be sent again under its
// key: what was taken then is unchanged now. An empty key never repeats.
//
// A file that stops being readable is no error: its last line is refused with
// field "file" and says where, and what stood before it is taken. Errors are
// ErrKeyReused, ErrUnknownFormat, ErrNotOfThisKind, those of body, and those
// of the database; after any of them the report is not to be trusted as whole.
func Submit(ctx context.Context, pool *pgxpool.Pool, s Sender, format, idempotencyKey string, body io.Reader, c Catalogue, report func(Line)) (Totals, error) {
	switch {
	case !socialFormat(format) && format != FormatNDJSON:
		return Totals{}, ErrUnknownFormat
	case socialFormat(format) && !s.social():
		return Totals{}, ErrNotOfThisKind
	}
	sub, err := Begin(ctx, pool, s, format, idempotencyKey)
	if err != nil {
		return Totals{}, err
	}
	in := &bodyReader{from: sub.Body(body)}
	if !sub.Replayed() {
		s.Submission = sub.ID
		w := &deliveries{ctx: ctx, pool: pool, sender: s, catalogue: c, report: report, totals: &sub.Totals}
		if err := w.read(format, in); err != nil {
			return sub.Totals, err
		}
	}
	// What a reader left of a file that stopped being readable belongs to its digest.
	if err := in.drain(); err != nil {
		return sub.Totals, err
	}
	if err := sub.Finish(ctx); err != nil {
		return Totals{}, err
	}
	return sub.Totals, nil
}

// deliveries are the records of one submission on their way in.
type deliveries struct {
	ctx       context.Context
	pool      *pgxpool.Pool
	sender    Sender
	catalogue Catalogue
	report    func(Line)
	totals    *Totals
	waiting   []delivery
	size      int // bytes as sent, of those waiting
}

// delivery is what stands or falls together.
type delivery struct {
	line    Line
	records []Record // none: refused already
}

// A batch is small enough for its families to be locked for a moment only, and
// large enough for its commit not to be what takes the time.
const (
	maxBatch     = 16
	maxBatchSize = 1 << 20
)

func (w *deliveries) read(format string, in *bodyReader) error {
	var err error
	last := 0
	switch format {
	case FormatDfE:
		err = ReadDfE(in, func(c DfEChild) error {
			last = c.Line
			if err := w.add(Line{Line: c.Line, Child: c.ID, Warnings: c.Warnings}, c.Records, c.Refused); err != nil || c.Refused != nil {
				return err
			}
			for _, r := range c.Workers {
				if err := w.add(Line{Line: c.Line, Child: c.ID}, []Record{r}, nil); err != nil {
					return err
				}
			}
			return nil
		})
	case FormatCensus:
		_, err = ReadCensus(in, func(c CensusChild) error {
			last = c.Line
			return w.add(Line{Line: c.Line, Child: c.ID, Warnings: c.Warnings}, c.Records, c.Refused)
		})
	default:
		err = ReadNDJSON(in, func(r Record, refused *FieldError) error {
			last = r.Line
			return w.add(Line{Line: r.Line, Warnings: r.Warnings}, []Record{r}, refused)
		})
	}
	var broken *deliveryError
	switch {
	case errors.As(err, &broken):
		return broken.err
	case in.err != nil:
		return fmt.Errorf("read submission: %w", in.err)
	case err != nil:
		if err := w.add(Line{Line: last}, nil, &FieldError{Field: "file", Rule: err.Error()}); err != nil {
			return err
		}
	}
	return w.flush()
}

// deliveryError tells an error of ours from one of the file, on its way
// through a reader.
type deliveryError struct{ err error }

func (e *deliveryError) Error() string { return e.err.Error() }
func (e *deliveryError) Unwrap() error { return e.err }

func (w *deliveries) add(l Line, records []Record, refused *FieldError) error {
	d := delivery{line: l, records: records}
	if refused != nil {
		d.line.Outcome, d.line.Field, d.line.Rule, d.records = Refused, refused.Field, refused.Rule, nil
	}
	w.waiting = append(w.waiting, d)
	for _, r := range d.records {
		w.size += sizeOf(r)
	}
	if len(w.waiting) < maxBatch && w.size < maxBatchSize {
		return nil
	}
	return w.flush()
}

// sizeOf is roughly what a record holds in memory.
func sizeOf(r Record) int {
	switch {
	case r.Person != nil:
		return len(r.Person.Raw)
	case r.Entry != nil:
		n := 0
		for _, v := range r.Entry.Content {
			if text, ok := v.(string); ok {
				n += len(text)
			}
		}
		return n
	}
	return 0
}

// flush takes what waits in one transaction and reports it once it is committed.
func (w *deliveries) flush() error {
	err := w.take(w.waiting)
	if storable(err) {
		// One of them broke the database's own rules and took the others along:
		// each goes by itself, and that one alone is refused.
		err = nil
		for i := range w.waiting {
			one := w.waiting[i : i+1]
			if err = w.take(one); storable(err) {
				one[0].line.Outcome, one[0].line.Field, one[0].line.Rule = Refused, "record", "cannot be stored"
				err = nil
			}
			if err != nil {
				break
			}
		}
	}
	if err != nil {
		return &deliveryError{err}
	}
	for _, d := range w.waiting {
		if d.line.Outcome == Refused {
			w.totals.Refused++
		} else {
			w.totals.Took(d.line.Outcome)
		}
		w.report(d.line)
	}
	clear(w.waiting)
	w.waiting, w.size = w.waiting[:0], 0
	return nil
}

// take contributes a batch and fills in what became of each.
func (w *deliveries) take(batch []delivery) error {
	if len(batch) == 0 {
		return nil
	}
	return postgres.InTx(w.ctx, w.pool, func(tx pgx.Tx) error {
		for i := range batch {
			d := &batch[i]
			if len(d.records) == 0 {
				continue
			}
			d.line.Outcome, d.line.Field, d.line.Rule = "", "", ""
			results, err := ContributeAll(w.ctx, tx, w.sender, d.records, w.catalogue)
			var field *FieldError
			switch {
			case errors.As(err, &field):
				d.line.Outcome, d.line.Field, d.line.Rule = Refused, field.Field, field.Rule
			case err != nil:
				return fmt.Errorf("take record at line %d: %w", d.line.Line, err)
			default:
				d.line.Outcome = together(results)
			}
		}
		return nil
	})
}

// storable tells an error that the record has earned, not the database: data
// exceptions and broken constraints. A record that met the same one from
// elsewhere at the same moment is among them and goes through alone.
func storable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && len(pg.Code) == 5 && (pg.Code[:2] == "22" || pg.Code[:2] == "23")
}

// together is the outcome of records that stand or fall together; the first
// says whether the whole is new.
func together(results []Result) Outcome {
	if len(results) == 0 {
		return Refused
	}
	all := results[0].Outcome
	for _, r := range results[1:] {
		if all == Unchanged && r.Outcome != Unchanged {
			all = Changed
		}
	}
	return all
}

// bodyReader keeps the body's own error apart from what a parser makes of it.
type bodyReader struct {
	from io.Reader
	err  error
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// drain reads to the end.
func (b *bodyReader) drain() error {
	if _, err := io.Copy(io.Discard, b); err != nil {
		return fmt.Errorf("read submission: %w", err)
	}
	return nil
}
