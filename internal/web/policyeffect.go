package web

import (
	"context"

	"kith/internal/policy"
)

// effectView is the part of a report that comes after it: what recorded accesses
// would have shown, and what opens and closes in the live records.
type effectView struct {
	Computing, Failed bool
	Stage             string
	Done, Total       int64
	Why               string
	Past              string // one sentence; "" nothing was replayed
	PastMore          string
	Bars              barChart
	Agencies          []effectAgency
	PastLines         []effectRow
	Live              string
	LiveLines         []effectRow
}

type effectAgency struct{ Who, Accesses, Opened, Closed string }

// effectRow is one thing that opens or closes, with counts as far as they may be told.
type effectRow struct {
	Who, Part       string
	Class, Mark     string
	Before, After   string
	Count, Families string
	Words           string
}

func (s *Server) effectView(ctx context.Context, e *policy.Effect, version *policy.Version) *effectView {
	v := &effectView{Computing: e.State == policy.EffectComputing, Failed: e.State == policy.EffectFailed, Why: e.Why, Done: e.Done, Total: e.Total,
		Stage: s.words.known("effect.stage."+e.Stage, e.Stage)}
	agencies := s.agencies(ctx)
	if p := e.Past; p != nil {
		v.Past = s.words.count("effect.past", p.Replayed, thousands(p.Replayed))
		if p.From != nil && p.To != nil {
			v.Past = s.words.say("effect.past-from", v.Past, longDate(*p.From), longDate(*p.To))
		}
		v.PastMore = s.words.say("effect.past-more", thousands(p.Nothing), thousands(p.Erased), thousands(p.Late))
		for _, a := range p.Agencies {
			name := named(agencies, []string{a.Agency})[0]
			v.Agencies = append(v.Agencies, effectAgency{Who: name, Accesses: s.count(a.Accesses), Opened: s.count(a.Opened), Closed: s.count(a.Closed)})
			if a.Opened.N+a.Closed.N > 0 {
				v.Bars.Rows = append(v.Bars.Rows, bar{Who: s.kindOrName(version, agencies[a.Agency].Kind, name), Less: a.Closed.N, More: a.Opened.N,
					LessSaid: s.count(a.Closed), MoreSaid: s.count(a.Opened)})
			}
		}
		s.drawBars(&v.Bars)
		for _, l := range p.Lines {
			v.PastLines = append(v.PastLines, s.effectRow(version, named(agencies, []string{l.Agency})[0], l))
		}
	}
	if l := e.Live; l != nil {
		v.Live = s.words.say("effect.live", thousands(l.Looked), thousands(l.Families))
		for _, line := range l.Lines {
			v.LiveLines = append(v.LiveLines, s.effectRow(version, named(agencies, []string{line.Agency})[0], line))
		}
	}
	return v
}

// kindOrName keeps the bars' names short.
func (s *Server) kindOrName(version *policy.Version, kind, name string) string {
	if _, ok := version.Kind(kind); ok {
		return s.kindName(version, kind)
	}
	return name
}

// count writes a number as far as it may be told.
func (s *Server) count(c policy.Count) string {
	if c.Few {
		return s.words.say("effect.few")
	}
	return thousands(c.N)
}

func (s *Server) effectRow(version *policy.Version, who string, l policy.EffectLine) effectRow {
	row := effectRow{Who: who, Part: s.words.say("effect.whole"), Class: "loss", Before: s.words.known("level.was."+l.Before, l.Before), After: s.words.known("level.was."+l.After, l.After),
		Families: s.count(l.Families), Words: l.Words}
	if l.Role != "" {
		row.Who = s.words.say("effect.who", who, s.words.known("role."+l.Role, l.Role))
	}
	if l.Section != "" {
		row.Part = s.partName(version, l.Section)
	}
	if l.Gain {
		row.Class = "gain"
	}
	row.Mark = s.words.say("change." + row.Class)
	switch {
	case l.Accesses != nil:
		row.Count = s.count(*l.Accesses)
	case l.Entries != nil:
		row.Count = s.count(*l.Entries)
	}
	return row
}
