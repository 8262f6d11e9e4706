package proof

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// maxLine is the longest line that is read: a family of hundreds of entries
// stays far below.
const maxLine = 16 << 20

// jobBytes is how much of a file is read at once: some hundred lines, whose
// receipts are checked together.
const jobBytes = 1 << 20

// job is a piece of the file on its way from the reader through a worker to
// the collector, which gives it back to the reader: a few go round, so that
// memory is the same however long the file is.
type job struct {
	text  []byte // that the lines are cut from
	lines [][]byte
	out   []checked
	done  chan struct{}
}

// VerifyExport reads an export once, in flat memory, and reports. An error
// means that it could not be read or is no export. Errors: ErrExport, ErrKey,
// ErrCheckpoint, ErrUnsigned.
func VerifyExport(r io.Reader, o VerifyOptions) (Report, error) {
	in := bufio.NewReader(r)
	first, err := readLine(in)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrExport, err)
	}
	v, err := newVerification(first, o)
	if err != nil {
		return Report{}, err
	}
	workers := runtime.GOMAXPROCS(0)
	free := make(chan *job, 2*workers)
	for range cap(free) {
		free <- &job{done: make(chan struct{}, 1)}
	}
	jobs := make(chan *job, cap(free)) // in order, for the collector
	work := make(chan *job, cap(free))
	for range workers {
		go func() {
			for j := range work {
				j.out = v.lookAll(j.lines, j.out[:0])
				j.done <- struct{}{}
			}
		}()
	}
	var readErr error
	var last []byte
	go func() {
		defer close(jobs)
		defer close(work)
		last, readErr = feed(in, free, jobs, work)
	}()
	for j := range jobs {
		<-j.done
		for i := range j.out {
			v.take(&j.out[i])
		}
		free <- j
	}
	if readErr != nil {
		return v.report, fmt.Errorf("read export: %w", readErr)
	}
	v.finish(last)
	v.report.Latest = v.latest
	return v.report, nil
}

// feed cuts the file into jobs; the last line is the end's and kept apart.
func feed(in io.Reader, free <-chan *job, jobs, work chan<- *job) (last []byte, err error) {
	var rest []byte // of what was read: the newest whole line, and what follows it
	for end := false; !end; {
		j := <-free
		j.text, j.lines = append(j.text[:0], rest...), j.lines[:0]
		cut := -1
		for cut < 0 && !end {
			if bytes.LastIndexByte(j.text, '\n') < len(j.text)-maxLine {
				return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
			}
			from := len(j.text)
			j.text = slices.Grow(j.text, jobBytes)[:from+jobBytes]
			n, err := io.ReadFull(in, j.text[from:])
			j.text = j.text[:from+n]
			if end = err == io.EOF || err == io.ErrUnexpectedEOF; err != nil && !end {
				return nil, err
			}
			cut = bytes.LastIndexByte(j.text[:max(0, bytes.LastIndexByte(j.text, '\n'))], '\n')
		}
		if end {
			j.text = bytes.TrimSuffix(j.text, []byte("\n"))
			cut = bytes.LastIndexByte(j.text, '\n')
			last = bytes.Clone(j.text[cut+1:])
		}
		rest = append(rest[:0], j.text[cut+1:]...)
		if cut >= 0 {
			j.lines = slices.AppendSeq(j.lines, bytes.SplitSeq(j.text[:cut], []byte("\n")))
		}
		work <- j
		jobs <- j
	}
	return last, nil
}

func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF && len(line) == 0:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, err
		}
		return bytes.TrimSuffix(line, []byte("\n")), nil
	}
}
