package web

import (
	"slices"
	"sort"
	"time"
)

// childNow is where one child is, with whom, and who says so.
type childNow struct {
	Name, Age, Expected string
	Where, With, Source string
	Needs               string
	Anchor              string
}

type riskLine struct{ Text, Source, Day, Anchor string }

func (r *record) childrenNow() []childNow {
	var out []childNow
	for _, id := range r.order {
		p := r.persons[id]
		if !p.Child {
			continue
		}
		c := childNow{Name: p.Name, Age: p.Age, Expected: longDay(p.Expected), Anchor: "person-" + id.String()}
		for _, e := range about(r.of("usual-address"), id) {
			if e.text("until") != "" || e.text("address") == "" {
				continue
			}
			c.Where, c.Source = e.text("address"), e.Owner
			c.With = joinWords(without(e.Subjects, p.Name))
			break
		}
		if c.With == "" {
			var with []string
			for _, l := range r.view.Links {
				if l.To == id && l.Household && !slices.Contains(with, r.name(l.From)) {
					with = append(with, r.name(l.From))
					c.Source = r.owner(l.Owner)
				}
			}
			c.With = joinWords(with)
		}
		if p.Needs != "" {
			c.Needs = p.Needs
		}
		out = append(out, c)
	}
	return out
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

// risks are the latest judgements that were released: in words, by whom, when.
func (r *record) risks() []riskLine {
	var out []riskLine
	for _, of := range []struct{ section, field, key string }{
		{"da-risk", "dash_level", "risk.dash"}, {"group-supervision", "risk_rating", "risk.supervision"},
		{"mh-risk", "risk_level", "risk.mh"}, {"sm-risk", "overdose_risk", "risk.sm"}, {"probation", "rosh", "risk.rosh"},
	} {
		for _, c := range r.of(of.section) {
			if level := c.text(of.field); level != "" {
				who := ""
				if of.section != "group-supervision" {
					who = joinWords(c.Subjects)
				}
				text := r.words.say(of.key, level)
				if who != "" {
					text = r.words.say("risk.about", text, who)
				}
				out = append(out, riskLine{Text: text, Source: c.Owner, Day: c.Recorded, Anchor: c.Anchor()})
				break
			}
		}
	}
	return out
}

// news is what was released now and not at the last visit.
type news struct {
	Since time.Time // zero: the first visit
	Items []newsItem
	More  int
	Old   []string
}

type newsItem struct{ Day, Text, Source, Anchor, Part string }

// newsMost is how many are shown; the rest stand in the time line.
const newsMost = 5

func (r *record) news() news {
	n := news{Since: r.before.at}
	cards := slices.Clone(r.cards)
	sort.SliceStable(cards, func(i, j int) bool {
		if cards[i].Recorded != cards[j].Recorded {
			return cards[i].Recorded > cards[j].Recorded
		}
		return cards[i].ID.String() < cards[j].ID.String()
	})
	for _, c := range cards {
		if !n.Since.IsZero() && !c.New || n.Since.IsZero() && c.Group == "family" {
			continue
		}
		if len(n.Items) == newsMost {
			n.More++
			continue
		}
		n.Items = append(n.Items, newsItem{Day: c.Day, Text: c.Heading, Source: c.Owner, Anchor: c.Anchor(), Part: c.Section})
	}
	if n.Since.IsZero() {
		n.More = 0
	}
	for _, p := range r.parts() {
		if p.OutOfDate != "" {
			n.Old = append(n.Old, r.words.say("news.out-of-date", p.Name, longDay(p.OutOfDate)))
		}
	}
	return n
}
