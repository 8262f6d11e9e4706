package main

import (
	"bufio"
	"bytes"
	"context"
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
