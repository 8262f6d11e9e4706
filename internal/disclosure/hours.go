package disclosure

import (
	"time"

	"kith/internal/audit"
)

// midnight is when a moment's day began in London.
func (w *Watch) midnight(at time.Time) time.Time {
	y, m, d := at.In(w.london).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, w.london)
}

// working tells whether a moment lies within the working hours of a weekday
// that is no bank holiday. A service that works round the clock is never
// outside them.
func (w *Watch) working(at time.Time) bool {
	if w.rules.Opens == 0 && w.rules.Closes == 24*time.Hour {
		return true
	}
	local := at.In(w.london)
	if day := local.Weekday(); day == time.Saturday || day == time.Sunday || bankHoliday(local) {
		return false
	}
	// By the clock on the wall: a day with a change of the clocks is not longer for it.
	clock := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second
	return clock >= w.rules.Opens && clock < w.rules.Closes
}

// Hours are the working hours that the findings go by, with the bank holidays
// of a period.
func (r *Reviews) Hours(from, until time.Time) *audit.Hours {
	rules := r.Rules.withDefaults()
	h := &audit.Hours{Opens: rules.Opens, Closes: rules.Closes}
	for day := from.Truncate(24 * time.Hour).Add(12 * time.Hour); day.Before(until.AddDate(0, 0, 2)); day = day.AddDate(0, 0, 1) {
		if bankHoliday(day) {
			h.Holidays = append(h.Holidays, day)
		}
	}
	return h
}

// bankHoliday tells the bank holidays of England and Wales (Banking and
// Financial Dealings Act 1971, Schedule 1, and the substitute days that are
// proclaimed for those that fall on a weekend). Single ones, as for a
// coronation, are not known here: a day more or less in the queue does no harm.
func bankHoliday(at time.Time) bool {
	y, m, d := at.Date()
	is := func(t time.Time) bool { return t.Month() == m && t.Day() == d }
	day := func(m time.Month, d int) time.Time { return time.Date(y, m, d, 12, 0, 0, 0, time.UTC) }
	easter := easterSunday(y)
	if is(easter.AddDate(0, 0, -2)) || is(easter.AddDate(0, 0, 1)) {
		return true
	}
	first := func(t time.Time) time.Time { return t.AddDate(0, 0, (8-int(t.Weekday()))%7) } // Monday from then on
	if is(first(day(time.May, 1))) || is(first(day(time.May, 25))) || is(first(day(time.August, 25))) {
		return true
	}
	newYear, christmas := day(time.January, 1), day(time.December, 25)
	switch christmas.Weekday() {
	case time.Friday: // Boxing Day on a Saturday: Monday instead
		return is(christmas) || is(christmas.AddDate(0, 0, 3)) || is(workday(newYear))
	case time.Saturday, time.Sunday: // both, or Christmas Day alone: the Monday and the Tuesday
		return is(day(time.December, 27)) || is(day(time.December, 28)) && christmas.Weekday() == time.Saturday ||
			is(day(time.December, 26)) && christmas.Weekday() == time.Sunday || is(workday(newYear))
	}
	return is(christmas) || is(christmas.AddDate(0, 0, 1)) || is(workday(newYear))
}

// workday is the day itself, or the Monday after a weekend.
func workday(t time.Time) time.Time {
	switch t.Weekday() {
	case time.Saturday:
		return t.AddDate(0, 0, 2)
	case time.Sunday:
		return t.AddDate(0, 0, 1)
	}
	return t
}

// easterSunday by the rule of the Gregorian calendar (Meeus, Jones and Butcher).
func easterSunday(y int) time.Time {
	a, b, c := y%19, y/100, y%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	l := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Date(y, time.Month(n/31), n%31+1, 12, 0, 0, 0, time.UTC)
}
