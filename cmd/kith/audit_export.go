package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
)

// keysNote stands above keys that came with what they verify.
const keysNote = "# These keys came with the export. They prove nothing until you have compared them\n# with those that the hub's owner gave you (kith audit keys, on the day of set-up).\n"

// auditExport streams the export into a folder. What was cut off keeps the
// name events.….part, and --resume goes on behind its last whole piece.
func auditExport(ctx context.Context, o auditOptions, stdout, bar io.Writer) error {
	if o.format == "csv" || o.format == "fhir" {
		return auditExportTable(ctx, o, stdout, bar)
	}
	if err := os.MkdirAll(o.out, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	part, err := openPart(o, "events.ndjson")
	if err != nil {
		return err
	}
	defer part.Close()
	keep := newKept(o.out, part, bar)
	query := o.exportQuery("ndjson")
	if o.resume {
		after, err := keep.again()
		if err != nil {
			return fmt.Errorf("read what is there already: %w", err)
		}
		if after != "" {
			query = url.Values{"format": {"ndjson"}, "after": {after}}
		}
	}
	res, err := o.askHub(ctx, http.MethodGet, "/v1/access-events/export", query, nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := keep.read(res.Body, true); err != nil {
		return fmt.Errorf("the export was cut off (kith audit export --resume goes on): %w", err)
	}
	if err := keep.close(); err != nil {
		return err
	}
	if err := donePart(part, o, "events.ndjson"); err != nil {
		return err
	}
	keys, err := keysOf(keep.header)
	if err != nil {
		return err
	}
	if err := writeFiles(o.out, map[string]string{"checkpoint": keep.header.Checkpoint, "keys": keysNote + keys.String()}); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d entries of %d, scope %s, in %s\nverify: kith-verify export %s --key FILE\n", keep.entries, keep.header.End-keep.header.First, keep.header.Scope, o.out, o.out)
	return nil
}

func (o *auditOptions) exportQuery(format string) url.Values {
	query := url.Values{"format": {format}}
	for name, v := range map[string]string{"from": o.from, "until": o.to, "log": o.log} {
		if v != "" {
			query.Set(name, v)
		}
	}
	return query
}

// openPart opens the file of an export that is not whole yet.
func openPart(o auditOptions, name string) (*os.File, error) {
	mode := os.O_CREATE | os.O_RDWR
	if !o.resume {
		mode |= os.O_TRUNC
	}
	return os.OpenFile(filepath.Join(o.out, name+".part"), mode, 0o600)
}

// donePart gives the file its name once it is safe on the disk.
func donePart(part *os.File, o auditOptions, name string) error {
	if err := part.Sync(); err != nil {
		return err
	}
	return os.Rename(part.Name(), filepath.Join(o.out, name))
}

func writeFiles(dir string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func keysOf(h proof.ExportHeader) (proof.KeyFile, error) {
	text := "log " + h.LogKey + "\n"
	for _, k := range h.ReplicaKeys {
		text += "replica " + k + "\n"
	}
	return proof.ParseKeyFile([]byte(text))
}

// kept is an export on its way to the disk: the entries that it shows are
// counted, and where it shows them all their tiles are made.
type kept struct {
	part    *os.File
	out     *bufio.Writer
	bar     io.Writer
	tiler   *tree.Tiler
	header  proof.ExportHeader
	lines   int64
	entries int64
	whole   bool
	ended   bool
}

func newKept(dir string, part *os.File, bar io.Writer) *kept {
	return &kept{part: part, out: bufio.NewWriterSize(part, 1<<20), bar: bar, tiler: tree.NewTiler(func(path string, hashes []byte) error {
		return writeFiles(dir, map[string]string{path: string(hashes)})
	})}
}

// again reads what an earlier try has left, cuts it off behind its last mark,
// and gives the cursor there; empty where there is none.
func (k *kept) again() (cursor string, err error) {
	in := bufio.NewReaderSize(k.part, 1<<20)
	var at, cut int64
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			break // what lies behind the last line feed is not whole
		}
		if err != nil {
			return "", err
		}
		at += int64(len(line))
		if m, ok := proof.MarkOf(line); ok {
			cut, cursor = at, m.Cursor()
		}
	}
	if err := k.part.Truncate(cut); err != nil {
		return "", err
	}
	if _, err := k.part.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if err := k.read(io.LimitReader(k.part, cut), false); err != nil {
		return "", err
	}
	_, err = k.part.Seek(cut, io.SeekStart)
	return cursor, err
}

// read takes lines; those that are new are kept.
func (k *kept) read(from io.Reader, fresh bool) error {
	in := bufio.NewReaderSize(from, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil {
			_ = k.out.Flush() // so that --resume finds it
			return err
		}
		if fresh {
			if _, err := k.out.Write(line); err != nil {
				return err
			}
		}
		if err := k.line(line); err != nil {
			return err
		}
	}
	if fresh && !k.ended {
		_ = k.out.Flush()
		return errors.New("its last line is missing")
	}
	return k.out.Flush()
}

func (k *kept) line(line []byte) error {
	k.lines++
	switch {
	case k.lines == 1:
		if err := json.Unmarshal(line, &k.header); err != nil || k.header.Export != 1 {
			return proof.ErrExport
		}
		cp, err := proof.PeekCheckpoint([]byte(k.header.Checkpoint))
		if err != nil {
			return err
		}
		k.whole = k.header.Scope == "all" && k.header.First == 0 && k.header.End == cp.Size
	case bytes.HasPrefix(line, []byte(`{"end":`)):
		k.ended = true
	case bytes.HasPrefix(line, []byte(`{"mark":`)):
		if m, ok := proof.MarkOf(line); ok && k.bar != nil {
			fmt.Fprintf(k.bar, "\r%s", replayBar(max(0, min(m.Next, m.End)-m.First), m.End-m.First))
		}
	case bytes.HasPrefix(line, []byte(`{"index":`)):
		k.entries++
		if !k.whole {
			return nil
		}
		var x struct {
			Leaf proof.Digest `json:"leaf"`
		}
		if err := json.Unmarshal(line, &x); err != nil {
			return err
		}
		return k.tiler.Append(x.Leaf)
	}
	return nil
}

func (k *kept) close() error {
	if k.lines > markedLines && k.bar != nil {
		run := k.header.End - k.header.First
		fmt.Fprintf(k.bar, "\r%s\n", replayBar(run, run))
	}
	if k.whole {
		return k.tiler.Close()
	}
	return nil
}

// markedLines is from how many lines on a bar was drawn.
const markedLines = 1024

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
	return o.keepTiles(ctx, stdout, name)
}

// keepTiles fetches checkpoint, keys and the tiles of the leaves. Who may not
// have them (one's own accesses) keeps the receipts alone.
func (o *auditOptions) keepTiles(ctx context.Context, stdout io.Writer, name string) error {
	fetch := func(path string) (string, error) {
		res, err := o.askHub(ctx, http.MethodGet, path, nil, nil, nil, http.StatusOK)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		return string(data), err
	}
	checkpoint, err := fetch("/v1/log/checkpoint")
	if err != nil {
		fmt.Fprintf(stdout, "without the log's tiles: %v\n", err)
		return nil
	}
	cp, err := proof.PeekCheckpoint([]byte(checkpoint))
	if err != nil {
		return err
	}
	keys, err := fetch("/v1/log/keys")
	if err != nil {
		return err
	}
	for n := int64(0); n*proof.TileWidth < cp.Size; n++ {
		path := proof.TilePath(0, n, int(min(proof.TileWidth, cp.Size-n*proof.TileWidth)))
		tile, err := fetch("/v1/log/" + path)
		if err == nil {
			err = writeFiles(o.out, map[string]string{path: tile})
		}
		if err != nil {
			return fmt.Errorf("tile %s: %w", path, err)
		}
	}
	if err := writeFiles(o.out, map[string]string{"checkpoint": checkpoint, "keys": keysNote + keys}); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "verify: kith-verify receipts %s --tiles %s --key FILE\n", filepath.Join(o.out, name), o.out)
	return nil
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
