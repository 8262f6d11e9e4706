package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
)

// cellUseDays is how far the use of a cell is looked back at.
const cellUseDays = 90

// cellUse is how often what a cell opens was shown, to whom.
type cellUse struct {
	Said     string // one sentence
	Agencies []cellUseLine
}

type cellUseLine struct {
	Name, Times, Last string
	n                 int64
}

// tellUse puts the use of a cell into its panel. It comes from the log, and
// looking at that is an event, whose receipt it gives. There is nothing to look at
// in a cell that is theirs, or never shared.
func (s *Server) tellUse(r *http.Request, v visit, m matrix, p *cellPanel) (receipt string, err error) {
	if p == nil || p.Never != "" {
		return "", nil
	}
	section, kind, _ := cellAt(p.ID)
	letter := m.version.LetterOf(p.Query.purpose)
	made, err := s.looked(r, v, map[string]string{"what": "use of clauses", "part": section, "to": kind, "purpose": letter})
	if err != nil {
		return "", err
	}
	p.Use, err = s.useOf(r.Context(), m, section, kind, letter)
	return made.String(), err
}

// useOf counts the accesses in which a cell's rows showed something.
func (s *Server) useOf(ctx context.Context, m matrix, section, kind, letter string) (*cellUse, error) {
	since := s.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-cellUseDays)
	counted, err := s.Log.ClauseUses(ctx, section, since)
	if err != nil {
		return nil, err
	}
	by := map[string]*cellUseLine{}
	last := map[string]time.Time{}
	var all int64
	for _, u := range counted {
		if m.agencies[u.Agency].Kind != kind || m.version.LetterOf(u.Purpose) != letter {
			continue
		}
		line := by[u.Agency]
		if line == nil {
			line = &cellUseLine{Name: named(m.agencies, []string{u.Agency})[0]}
			by[u.Agency] = line
		}
		line.n += u.Times
		all += u.Times
		if u.Last.After(last[u.Agency]) {
			last[u.Agency] = u.Last
		}
	}
	use := &cellUse{}
	for code, line := range by {
		line.Times = s.words.count("log.accesses", int(line.n))
		line.Last = longDay(last[code].UTC().Format(time.DateOnly))
		use.Agencies = append(use.Agencies, *line)
	}
	slices.SortFunc(use.Agencies, func(a, b cellUseLine) int {
		return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.Name, b.Name))
	})
	of := 0
	for _, a := range m.agencies {
		if a.Kind == kind {
			of++
		}
	}
	if all == 0 {
		use.Said = s.words.say("cell.unused", cellUseDays)
	} else {
		use.Said = s.words.count("cell.used", int(all), thousands(int(all)), cellUseDays, len(use.Agencies), of)
	}
	return use, nil
}
