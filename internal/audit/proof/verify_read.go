package proof

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// maxLine is the longest line that is read: a family of hundreds of entries
// stays far below.
const maxLine = 16 << 20

type job struct {
	lines [][]byte
	out   []checked
	done  chan struct{}
}

// VerifyExport reads an export once, in flat memory, and reports. An error
// means that it could not be read or is no export. Errors: ErrExport, ErrKey,
// ErrCheckpoint, ErrUnsigned.
func VerifyExport(r io.Reader, o VerifyOptions) (Report, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	first, err := readLine(in)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrExport, err)
	}
	v, err := newVerification(first, o)
	if err != nil {
		return Report{}, err
	}
	jobs := make(chan *job, 2*runtime.GOMAXPROCS(0)) // in order, for the collector
	work := make(chan *job)
	stop := make(chan struct{})
	defer close(stop)
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for j := range work {
				for i, line := range j.lines {
					j.out[i] = v.look(line)
				}
				close(j.done)
			}
		}()
	}
	var readErr error
	var last []byte
	go func() {
		defer close(jobs)
		defer close(work)
		last, readErr = feed(in, jobs, work, stop)
	}()
	for j := range jobs {
		<-j.done
		for i := range j.out {
			v.take(&j.out[i])
		}
	}
	if readErr != nil {
		return v.report, fmt.Errorf("read export: %w", readErr)
	}
	v.finish(last)
	v.report.Latest = v.latest
	return v.report, nil
}

// feed cuts the file into jobs; the last line is the end's and kept apart.
func feed(in *bufio.Reader, jobs, work chan<- *job, stop <-chan struct{}) (last []byte, err error) {
	const batch = 128
	for {
		j := &job{done: make(chan struct{})}
		for len(j.lines) < batch {
			line, err := readLine(in)
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			if last != nil {
				j.lines = append(j.lines, last)
			}
			last = line
		}
		if len(j.lines) == 0 {
			return last, nil
		}
		j.out = make([]checked, len(j.lines))
		select {
		case jobs <- j:
		case <-stop:
			return nil, nil
		}
		select {
		case work <- j:
		case <-stop:
			return nil, nil
		}
	}
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
