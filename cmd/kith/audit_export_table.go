package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"kith/internal/audit/proof"
)

// auditExportTable takes csv or fhir home. Each event carries its receipt; the
// log's tiles and checkpoint come along, so that kith-verify receipts finds each
// of them in the log without the hub.
func auditExportTable(ctx context.Context, o auditOptions, stdout, bar io.Writer) error {
	if err := os.MkdirAll(o.out, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	name, whole := "events.csv", lastRow
	if o.format == "fhir" {
		name, whole = "events.fhir.ndjson", lastResource
	}
	part, err := openPart(o, name)
	if err != nil {
		return err
	}
	defer part.Close()
	query := o.exportQuery(o.format)
	if o.resume {
		cut, after, err := whole(part)
		if err != nil {
			return fmt.Errorf("read what is there already: %w", err)
		}
		if err := part.Truncate(cut); err != nil {
			return err
		}
		if _, err := part.Seek(cut, io.SeekStart); err != nil {
			return err
		}
		if after != "" {
			query.Set("after", after)
		}
	}
	res, err := o.askHub(ctx, http.MethodGet, "/v1/access-events/export", query, nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n, err := io.Copy(part, &counting{from: res.Body, bar: bar})
	if err != nil {
		return fmt.Errorf("the export was cut off (kith audit export --resume goes on): %w", err)
	}
	if err := donePart(part, o, name); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d bytes in %s\n", n, filepath.Join(o.out, name))
	if o.to == "" {
		o.awaitPlace(ctx, res.Header.Get("Kith-Receipt"))
	}
	return o.keepTiles(ctx, stdout, name)
}

// Everything in a file that has no end in time has its place in the log once the
// export itself has it: a moment later.
const (
	placeTries = 60
	placeEvery = 500 * time.Millisecond
)

// awaitPlace waits for the export's own event to be under a checkpoint. Where it
// takes too long the newest receipts of the file are not found in the tiles.
func (o *auditOptions) awaitPlace(ctx context.Context, text string) {
	receipt, err := proof.ParseReceipt(text)
	for try := 0; err == nil && try < placeTries; try++ {
		res, not := o.askHub(ctx, http.MethodGet, "/v1/access-events/"+receipt.Event.String()+"/proof", nil, nil, nil, http.StatusOK)
		if not == nil {
			_ = res.Body.Close()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(placeEvery):
		}
	}
}

// keepTiles fetches the keys and, of each log, checkpoint and tiles of the
// leaves: the present log's in the folder itself, older ones' below logs. Who may
// not have them (one's own accesses) keeps the receipts alone.
func (o *auditOptions) keepTiles(ctx context.Context, stdout io.Writer, name string) error {
	st, err := o.state(ctx)
	if err != nil {
		fmt.Fprintf(stdout, "without the log's tiles: %v\n", err)
		return nil
	}
	keys, err := o.fetch(ctx, "/v1/log/keys")
	if err != nil {
		return err
	}
	if err := writeFiles(o.out, map[string]string{"keys": keysNote + keys}); err != nil {
		return err
	}
	for i, l := range st.Logs {
		dir, number := o.out, strconv.Itoa(l.Number)
		if i < len(st.Logs)-1 {
			if dir = filepath.Join(o.out, "logs", number); l.Size == 0 {
				continue // it was restored to before its first checkpoint
			}
		}
		if err := o.keepLog(ctx, "/v1/log/"+number+"/", dir); err != nil {
			return fmt.Errorf("log %s: %w", l.Origin, err)
		}
	}
	fmt.Fprintf(stdout, "verify: kith-verify receipts %s --tiles %s --key FILE\n", filepath.Join(o.out, name), o.out)
	return nil
}

// keepLog fetches the checkpoint and the leaves of one log.
func (o *auditOptions) keepLog(ctx context.Context, prefix, dir string) error {
	checkpoint, err := o.fetch(ctx, prefix+"checkpoint")
	if err != nil {
		return err
	}
	cp, err := proof.PeekCheckpoint([]byte(checkpoint))
	if err != nil {
		return err
	}
	for n := int64(0); n*proof.TileWidth < cp.Size; n++ {
		path := proof.TilePath(0, n, int(min(proof.TileWidth, cp.Size-n*proof.TileWidth)))
		tile, err := o.fetch(ctx, prefix+path)
		if err == nil {
			err = writeFiles(dir, map[string]string{path: tile})
		}
		if err != nil {
			return fmt.Errorf("tile %s: %w", path, err)
		}
	}
	return writeFiles(dir, map[string]string{"checkpoint": checkpoint})
}

// fetch takes a small answer whole.
func (o *auditOptions) fetch(ctx context.Context, path string) (string, error) {
	res, err := o.askHub(ctx, http.MethodGet, path, nil, nil, nil, http.StatusOK)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return string(data), err
}

// counting tells how much has come.
type counting struct {
	from  io.Reader
	bar   io.Writer
	n     int64
	shown int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	if c.bar != nil && (c.n-c.shown >= 1<<20 || err == io.EOF && c.shown > 0) {
		c.shown = c.n
		fmt.Fprintf(c.bar, "\r%d MB", c.n>>20)
		if err == io.EOF {
			fmt.Fprintln(c.bar)
		}
	}
	return n, err
}

// lastRow finds the end of the last whole row of a CSV file, and its event. A
// file that has no whole row besides the head begins anew.
func lastRow(f io.Reader) (cut int64, after string, err error) {
	data := &lastByte{from: f}
	r := csv.NewReader(data)
	r.FieldsPerRecord = -1
	for row := 0; ; row++ {
		record, err := r.Read()
		if err != nil || data.ended && !data.feed && r.InputOffset() >= data.n {
			break // the end, or a row that is not whole
		}
		if row > 0 {
			cut, after = r.InputOffset(), record[0]
		}
	}
	return cut, after, nil
}

// lastByte knows whether what was read ends with a line feed.
type lastByte struct {
	from        io.Reader
	n           int64
	feed, ended bool
}

func (l *lastByte) Read(b []byte) (int, error) {
	n, err := l.from.Read(b)
	if n > 0 {
		l.n, l.feed = l.n+int64(n), b[n-1] == '\n'
	}
	l.ended = l.ended || err == io.EOF
	return n, err
}

// lastResource finds where the last event of a FHIR file begins, which may not
// be whole, since an event has a resource for each person; and the event before.
func lastResource(f io.Reader) (cut int64, after string, err error) {
	in := bufio.NewReaderSize(f, 1<<20)
	var at int64
	var last string
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return cut, after, nil
		}
		if err != nil {
			return 0, "", err
		}
		event, err := eventOfResource(line)
		if err != nil {
			return 0, "", err
		}
		if event != last {
			cut, after, last = at, last, event
		}
		at += int64(len(line))
	}
}

func eventOfResource(line []byte) (string, error) {
	var x struct {
		Entity []struct {
			What struct {
				Identifier struct {
					System, Value string
				}
			}
		}
	}
	if err := json.Unmarshal(line, &x); err != nil {
		return "", err
	}
	for _, e := range x.Entity {
		if e.What.Identifier.System == "urn:kith:event" {
			return e.What.Identifier.Value, nil
		}
	}
	return "", errors.New("a resource names no event")
}
