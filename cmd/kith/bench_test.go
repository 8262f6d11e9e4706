package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kith/internal/family"
)

func TestBenchRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--fast"}, {"now"}, {"--seconds", "-1"}, {"--accesses", "-1"}} {
		if got := benchCommand(context.Background(), args, io.Discard, io.Discard); got != 2 {
			t.Errorf("kith bench %v: exit %d, want 2", args, got)
		}
	}
}

func TestMeasureCountsWhatWasDone(t *testing.T) {
	t.Parallel()
	m, err := processes{}.run(context.Background(), "sleep", 4, 50*time.Millisecond, func(context.Context, int, int) error {
		time.Sleep(time.Millisecond)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.done == 0 || m.p50 < time.Millisecond || m.p99 < m.p50 || m.rate <= 0 || m.rate > 4000 {
		t.Errorf("measured %+v", m)
	}
}

// An operation that fails must not end as a fast one.
func TestMeasureStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := processes{}.run(context.Background(), "break", 2, time.Minute, func(_ context.Context, _, i int) error {
		if i == 3 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// Each line of the table that is measured in turns stands for all its turns.
func TestAverageOfTurns(t *testing.T) {
	t.Parallel()
	got := average([]measure{{what: "read", done: 10, rate: 100, own: 2, database: 6, p50: 4, p99: 8}, {what: "read", done: 30, rate: 300, own: 4, database: 2, p50: 8, p99: 10}})
	want := measure{what: "read", done: 40, rate: 200, own: 3, database: 4, p50: 6, p99: 9}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(measure{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNightlyFileIsWellFormed(t *testing.T) {
	t.Parallel()
	file, want := nightlyFile("m", 3)
	got := 0
	err := family.ReadNDJSON(bytes.NewReader(file), func(r family.Record, refused *family.FieldError) error {
		if refused != nil {
			t.Errorf("line %d: %v", r.Line, refused)
		}
		got++
		return nil
	})
	if err != nil || got != want {
		t.Errorf("%d records, want %d: %v", got, want, err)
	}
}
