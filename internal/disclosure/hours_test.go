package disclosure

import (
	"slices"
	"testing"
	"time"
)

// Dates as the government publishes them.
func TestBankHolidays(t *testing.T) {
	t.Parallel()
	for year, want := range map[int][]string{
		2020: {"01-01", "04-10", "04-13", "05-04", "05-25", "08-31", "12-25", "12-28"}, // 8 May in place of 4 May was for that year alone
		2021: {"01-01", "04-02", "04-05", "05-03", "05-31", "08-30", "12-27", "12-28"},
		2022: {"01-03", "04-15", "04-18", "05-02", "05-30", "08-29", "12-26", "12-27"},
		2023: {"01-02", "04-07", "04-10", "05-01", "05-29", "08-28", "12-25", "12-26"},
		2024: {"01-01", "03-29", "04-01", "05-06", "05-27", "08-26", "12-25", "12-26"},
		2026: {"01-01", "04-03", "04-06", "05-04", "05-25", "08-31", "12-25", "12-28"},
		2027: {"01-01", "03-26", "03-29", "05-03", "05-31", "08-30", "12-27", "12-28"},
	} {
		var got []string
		for d := time.Date(year, 1, 1, 12, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
			if bankHoliday(d) {
				got = append(got, d.Format("01-02"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d: %v, want %v", year, got, want)
		}
	}
}

func TestWorkingHours(t *testing.T) {
	t.Parallel()
	w, err := NewWatch(nil, WatchRules{Opens: 7 * time.Hour, Closes: 19 * time.Hour}, time.Now, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{
		"2026-11-20T07:00:00Z": true,  // a Friday
		"2026-11-20T06:59:59Z": false, // a second too early
		"2026-11-20T18:59:59Z": true,
		"2026-11-20T19:00:00Z": false,
		"2026-11-21T12:00:00Z": false, // a Saturday
		"2026-12-28T12:00:00Z": false, // Boxing Day, in place of the Saturday
		"2026-07-20T06:00:00Z": true,  // seven by the clocks of summer
		"2026-07-20T18:30:00Z": false,
	} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.working(moment); got != want {
			t.Errorf("%s: working %v", at, got)
		}
	}
	for _, r := range []WatchRules{{Opens: 19 * time.Hour, Closes: 7 * time.Hour}, {Closes: 25 * time.Hour}, {SampleRate: 2}} {
		if _, err := NewWatch(nil, r, time.Now, nil, nil); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}
