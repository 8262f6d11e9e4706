package disclosure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
)

// WatchRules say what is looked at. The zero value of a field means its default.
type WatchRules struct {
	SampleRate float64       // share of the accesses drawn at random; default 0.01, negative none
	Opens      time.Duration // working hours of weekdays in London, from midnight; default 7 h
	Closes     time.Duration // default 19 h
	Denials    int           // refused within 24 hours; default 5
	// A day is unusual with VolumeFactor times the families of the worker's own
	// busiest day in four weeks, and never below VolumeFloor. Default 2 and 20.
	VolumeFactor float64
	VolumeFloor  int
	NewWork      time.Duration // an involvement is new for so long; default 24 h
	CommonName   int           // so many bear a surname that it says little; default 20
	Emergency    time.Duration // until a review is due: of emergency access, default 24 h;
	Urgent       time.Duration // of what touches the worker's own life, default 2 days;
	Soon         time.Duration // of the rest, default 7 days;
	Routine      time.Duration // of samples and the like, default 21 days
	LookBack     time.Duration // older events are not judged; default 31 days
}

func (r WatchRules) withDefaults() WatchRules {
	if r.SampleRate == 0 {
		r.SampleRate = 0.01
	}
	if r.Opens == 0 && r.Closes == 0 {
		r.Opens, r.Closes = 7*time.Hour, 19*time.Hour
	}
	if r.Denials == 0 {
		r.Denials = 5
	}
	if r.VolumeFactor == 0 {
		r.VolumeFactor = 2
	}
	if r.VolumeFloor == 0 {
		r.VolumeFloor = 20
	}
	if r.CommonName == 0 {
		r.CommonName = 20
	}
	for _, d := range []struct {
		to   *time.Duration
		days int
	}{{&r.NewWork, 1}, {&r.Emergency, 1}, {&r.Urgent, 2}, {&r.Soon, 7}, {&r.Routine, 21}, {&r.LookBack, 31}} {
		if *d.to == 0 {
			*d.to = time.Duration(d.days) * 24 * time.Hour
		}
	}
	return r
}

// Watch looks at what was accessed and raises findings for review. Each
// replica runs one; they share the work by taking turns.
type Watch struct {
	log    *audit.Log
	rules  WatchRules
	london *time.Location
	now    func() time.Time
	random io.Reader
	logger *slog.Logger
}

// NewWatch refuses hours that are none.
func NewWatch(log *audit.Log, rules WatchRules, now func() time.Time, random io.Reader, logger *slog.Logger) (*Watch, error) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	rules = rules.withDefaults()
	if rules.Opens < 0 || rules.Closes > 24*time.Hour || rules.Opens >= rules.Closes {
		return nil, errors.New("watch: working hours must begin before they end, within one day")
	}
	if rules.SampleRate > 1 {
		return nil, errors.New("watch: the sample's share is at most 1")
	}
	return &Watch{log: log, rules: rules, london: london, now: now, random: random, logger: logger}, nil
}

// Run looks at one batch of what is new on each tick until ctx ends. A burst
// is looked at when it is over: nobody waits for it, while those who read do.
func (w *Watch) Run(ctx context.Context, tick <-chan time.Time) {
	for {
		if _, err := w.batch(ctx); err != nil && ctx.Err() == nil {
			w.logger.ErrorContext(ctx, "accesses were not looked at", "cause", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

// Round looks at everything that waits, and says at how many events.
func (w *Watch) Round(ctx context.Context) (looked int, err error) {
	for ctx.Err() == nil {
		n, err := w.batch(ctx)
		if err != nil {
			return looked, err
		}
		if looked += n; n == 0 {
			return looked, nil
		}
	}
	return looked, ctx.Err()
}

func (w *Watch) batch(ctx context.Context) (looked int, err error) {
	now := w.now()
	return w.log.Watch(ctx, now, now.Add(-w.rules.LookBack), w.random, w.judge)
}

// asked is one access as the database's facts are asked for.
type asked struct {
	N        int         `json:"n"`
	Worker   uuid.UUID   `json:"worker"`
	Agency   string      `json:"agency"`
	Family   *uuid.UUID  `json:"family"`
	People   []uuid.UUID `json:"people"`
	Released bool        `json:"released"`
	At       time.Time   `json:"at"`
	Today    time.Time   `json:"today"` // midnight in London
}

// fact is one of the answers.
type fact struct {
	People []uuid.UUID
	Number int
	More   string
}

// facts of an access by their names; own-family and own-address may have several.
type facts map[string][]fact

func (f facts) has(name string) bool { return len(f[name]) > 0 }

func (f facts) number(name string) int {
	if len(f[name]) == 0 {
		return 0
	}
	return f[name][0].Number
}

// people joins those of one fact, and tells which were declared.
func (f facts) people(name string) (all []uuid.UUID, declared bool) {
	for _, x := range f[name] {
		declared = declared || x.More == "declared"
		for _, id := range x.People {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return all, declared
}

func (w *Watch) judge(ctx context.Context, tx pgx.Tx, accesses []audit.Access) ([]audit.Finding, error) {
	all, err := w.ask(ctx, tx, accesses)
	if err != nil {
		return nil, err
	}
	var found []audit.Finding
	for i := range accesses {
		j := judgement{Watch: w, access: &accesses[i], facts: all[i]}
		j.run()
		found = append(found, j.found...)
	}
	return found, nil
}

func (w *Watch) ask(ctx context.Context, tx pgx.Tx, accesses []audit.Access) ([]facts, error) {
	list := make([]asked, len(accesses))
	for i := range accesses {
		a := &accesses[i]
		list[i] = asked{N: i, Worker: a.Worker, Agency: a.Agency, People: a.People, Released: a.Released(), At: a.Occurred, Today: w.midnight(a.Occurred)}
		if a.Family != uuid.Nil {
			list[i].Family = &a.Family
		}
		if list[i].People == nil {
			list[i].People = []uuid.UUID{}
		}
	}
	body, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("ask for facts: %w", err)
	}
	all := make([]facts, len(accesses))
	for i := range all {
		all[i] = facts{}
	}
	var n int
	var name string
	var f fact
	rows, _ := tx.Query(ctx, `SELECT n, fact, people, number, more FROM kith.watch_facts($1)`, json.RawMessage(body))
	if _, err := pgx.ForEachRow(rows, []any{&n, &name, &f.People, &f.Number, &f.More}, func() error {
		all[n][name] = append(all[n][name], f)
		f.People = nil
		return nil
	}); err != nil {
		return nil, fmt.Errorf("ask for facts: %w", err)
	}
	return all, nil
}

// judgement is one access under the rules.
type judgement struct {
	*Watch
	access *audit.Access
	facts  facts
	found  []audit.Finding
}

// onDuty lists the roles whose work is whatever comes in.
func onDuty() []string { return []string{"emergency-duty", "mash-officer"} }

func (j *judgement) run() {
	a := j.access
	if a.Kind == audit.KindInvolvement {
		j.raise(audit.FindingDeclared, a.Readers()[:min(1, len(a.Readers()))], nil, nil)
		return
	}
	if j.facts.number("denials") >= j.rules.Denials && (a.Outcome == audit.OutcomeDenied || a.Outcome == audit.OutcomeNotFound) {
		j.raise(audit.FindingDenials, []string{a.Agency}, nil, map[string]int{"denials": j.facts.number("denials")})
	}
	if a.Kind == audit.KindForbidden {
		return
	}
	j.ownLife()
	if !a.Released() {
		return
	}
	if a.Emergency {
		j.raise(audit.FindingEmergency, a.Readers(), nil, nil)
	}
	if a.Declared {
		j.raise(audit.FindingDeclared, a.Readers(), nil, nil)
	}
	j.work()
	j.habits()
	if j.log.Sampled(a.Event, j.rules.SampleRate) {
		j.raise(audit.FindingSample, a.Readers(), nil, nil)
	}
}

// ownLife: what the worker's own life has to do with the record. Of a refused
// access only the auditor may know, since the agency was shown nothing. The
// worker's agency, which keeps the staff register, may know what it says; a
// name or an address only who was shown it.
func (j *judgement) ownLife() {
	a := j.access
	own := func() []string {
		if a.Released() {
			return []string{a.Agency}
		}
		return nil
	}
	for _, x := range []struct {
		fact string
		kind audit.FindingKind
	}{{"own-record", audit.FindingOwnRecord}, {"own-family", audit.FindingOwnFamily}, {"colleague", audit.FindingColleague}} {
		if x.fact == "own-family" && j.facts.has("own-record") {
			continue // it goes without saying, and so do name and address
		}
		if j.facts.has(x.fact) {
			people, _ := j.facts.people(x.fact)
			j.raise(x.kind, own(), people, nil)
		}
	}
	if j.facts.has("own-address") && !j.facts.has("own-record") {
		people, declared := j.facts.people("own-address")
		readers := own()
		if !declared {
			readers = j.knowers("usual-address", people)
		}
		j.raise(audit.FindingOwnAddress, readers, people, nil)
	}
	if j.facts.has("same-surname") && !j.facts.has("own-record") {
		people, _ := j.facts.people("same-surname")
		bearers := j.facts.number("same-surname")
		var excuses []audit.Excuse
		if bearers >= j.rules.CommonName {
			excuses = append(excuses, audit.ExcuseCommonName)
		}
		j.raise(audit.FindingSameSurname, j.knowers("identity", people), people, map[string]int{"bearers": bearers}, excuses...)
	}
	if j.facts.has("restricted") {
		people, _ := j.facts.people("restricted")
		var excuses []audit.Excuse
		if j.facts["restricted"][0].More == "listed" {
			excuses = append(excuses, audit.ExcuseListed)
		}
		j.raise(audit.FindingRestricted, own(), people, nil, excuses...)
	}
}

func (j *judgement) knowers(section string, people []uuid.UUID) []string {
	if !j.access.Released() {
		return nil
	}
	return j.access.KnowersOf(section, people)
}

// work: whether the worker works with the family, and since when. A search is
// how one comes to know whom to work with, and needs none.
func (j *judgement) work() {
	a := j.access
	if a.Kind == audit.KindSearch || a.Emergency || a.Family == uuid.Nil {
		return
	}
	if !j.facts.has("work") {
		var excuses []audit.Excuse
		if j.facts.has("agency-work") {
			excuses = append(excuses, audit.ExcuseAgency)
		}
		j.raise(audit.FindingNoInvolvement, a.Readers(), nil, nil, excuses...)
		return
	}
	since := time.Duration(j.facts.number("work")) * time.Minute
	if source := j.facts["work"][0].More; j.facts.has("first") && since < j.rules.NewWork && source != "declared" {
		j.raise(audit.FindingNewInvolvement, a.Readers(), nil, map[string]int{"hours": int(since / time.Hour)}, audit.ExcuseManager)
	}
}

// habits: when, and how much.
func (j *judgement) habits() {
	a := j.access
	if !j.working(a.Occurred) {
		j.raise(audit.FindingOutOfHours, a.Readers(), nil, nil)
	}
	today, before := j.facts.number("today"), j.facts.number("before")
	if today >= j.rules.VolumeFloor && float64(today) >= j.rules.VolumeFactor*float64(before) {
		j.raise(audit.FindingVolume, []string{a.Agency}, nil, map[string]int{"today": today, "before": before})
	}
}

// raise adds a finding with what speaks for innocence whatever its kind.
func (j *judgement) raise(kind audit.FindingKind, readers []string, people []uuid.UUID, numbers map[string]int, excuses ...audit.Excuse) {
	a := j.access
	add := func(e audit.Excuse, holds bool) {
		if holds && !slices.Contains(excuses, e) {
			excuses = append(excuses, e)
		}
	}
	add(audit.ExcuseRefused, !a.Released() && a.Kind != audit.KindInvolvement)
	add(audit.ExcuseDuty, slices.ContainsFunc(onDuty(), func(role string) bool { return slices.Contains(a.Roles, role) }))
	add(audit.ExcuseCover, j.facts.has("cover"))
	if kind != audit.FindingNewInvolvement && kind != audit.FindingDeclared {
		add(audit.ExcuseWork, j.facts.has("work") && a.Released())
	}
	f := audit.Finding{
		Kind: kind, Event: a.Event, Occurred: a.Occurred, Worker: a.Worker, Agency: a.Agency, Family: a.Family, People: people,
		Numbers: numbers, Excuses: excuses, Readers: readers, Due: j.due(kind),
	}
	// One finding for a worker, a family and a day, however often the record was
	// opened; whom it may be told is part of it, or a later event would carry an
	// earlier one to readers who may not know of it.
	about := []string{a.Worker.String(), a.Family.String(), strconv.FormatInt(j.midnight(a.Occurred).Unix(), 10), strings.Join(readers, ",")}
	switch kind {
	case audit.FindingSample, audit.FindingDeclared, audit.FindingEmergency:
		if kind == audit.FindingSample || a.Family == uuid.Nil {
			about = []string{a.Event.String()}
		}
	case audit.FindingVolume, audit.FindingDenials:
		about[1], f.Family = "", uuid.Nil
	case audit.FindingOutOfHours:
		about[1], f.Family = "", uuid.Nil
	}
	f.About = strings.Join(about, "/")
	j.found = append(j.found, f)
}

func (j *judgement) due(kind audit.FindingKind) time.Duration {
	switch kind {
	case audit.FindingEmergency:
		return j.rules.Emergency
	case audit.FindingOwnRecord, audit.FindingOwnFamily, audit.FindingProtected:
		return j.rules.Urgent
	case audit.FindingSample, audit.FindingOutOfHours, audit.FindingNewInvolvement:
		return j.rules.Routine
	}
	return j.rules.Soon
}
