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
	"strings"
	"time"
)

// errDiffers: the check was made, and failed.
var errDiffers = errors.New("not every decision is the same when it is made again: the events named above are evidence")

// replayProgress is one line of the hub's answer.
type replayProgress struct {
	Total, Done, Same, Different int64
	NotReplayable                int64 `json:"not_replayable"`
	Undecided                    int64 `json:"nothing_decided"`
	Differ                       []struct {
		Event, Kind, Why string
		Occurred         time.Time `json:"occurred_at"`
	}
	End   bool
	Error string
}

// auditReplay has the hub make all decisions of a time again. How far it is
// goes to the bar; events that differ, and the result, to stdout.
func auditReplay(ctx context.Context, o auditOptions, stdout, bar io.Writer) error {
	body, err := json.Marshal(map[string]string{"from": o.from, "until": o.to})
	if err != nil {
		return err
	}
	res, err := o.askHub(ctx, http.MethodPost, "/v1/access-events/replay", nil, map[string]string{"Content-Type": "application/json"}, bytes.NewReader(body), http.StatusOK)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var p replayProgress
	began := time.Now()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		p = replayProgress{}
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return fmt.Errorf("read the hub's answer: %w", err)
		}
		for _, d := range p.Differ {
			fmt.Fprintf(bar, "\r%*s\r", barWidth, "")
			fmt.Fprintf(stdout, "DIFFERENT  %s  %s  %s  %s\n", d.Event, d.Occurred.UTC().Format(time.RFC3339), d.Kind, d.Why)
		}
		fmt.Fprintf(bar, "\r%s", replayBar(p.Done, p.Total))
		if p.End || p.Error != "" {
			break
		}
	}
	fmt.Fprintln(bar)
	switch {
	case p.Error != "":
		return errors.New(p.Error)
	case lines.Err() != nil:
		return fmt.Errorf("the answer was cut off: %w", lines.Err())
	case !p.End:
		return errors.New("the answer was cut off: its last line is missing")
	}
	fmt.Fprintf(stdout, "%d events in %s: %d decided again the same, %d different, %d not replayable, %d rest on no decision\n",
		p.Done, time.Since(began).Round(time.Millisecond), p.Same, p.Different, p.NotReplayable, p.Undecided)
	if p.Different > 0 {
		return errDiffers
	}
	return nil
}

// barWidth is what a bar covers of a line.
const barWidth = 60

// replayBar draws how far it is.
func replayBar(done, total int64) string {
	const cells = 30
	full := cells
	if total > 0 {
		full = int(min(done*cells/total, cells))
	}
	line := fmt.Sprintf("[%s%s] %d of %d", strings.Repeat("#", full), strings.Repeat(".", cells-full), done, total)
	return fmt.Sprintf("%-*s", barWidth, line)
}
