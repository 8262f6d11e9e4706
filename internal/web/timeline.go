package web

import (
	"net/url"
	"slices"
	"sort"
	"time"

	"github.com/google/uuid"
)

// filter is what the reader picked; it stands in the address, and holds ids and
// codes alone.
type filter struct {
	About, From, Kind, Since, Order string
}

func lineFilter(q url.Values) filter {
	return filter{About: q.Get("about"), From: q.Get("from"), Kind: q.Get("kind"), Since: q.Get("since"), Order: q.Get("order")}
}

// timeline is the chronology of all agencies: what was released, by the day of
// the event.
type timeline struct {
	Filter  filter
	People  []option
	Owners  []option
	Kinds   []option
	Items   []lineItem
	Earlier int    // entries before the period that is shown
	Back    string // the day of the oldest
	Total   int    // released entries with a day, before filters
	Picked  bool
}

type option struct {
	Value, Text string
	Chosen      bool
}

// lineItem is one entry, or the accounts of one event.
type lineItem struct {
	Day      string
	Heading  string
	Future   bool
	New      bool
	Entry    *entryCard
	Accounts []entryCard // two or more
}

// dated are the entries that tell of something that happened. Who people are
// and where they live stands elsewhere on the page.
func (r *record) dated() []entryCard {
	var out []entryCard
	for _, c := range r.cards {
		if c.Group != "family" || c.Section == "worker-safety" {
			out = append(out, c)
		}
	}
	newestFirst(out)
	return out
}

// yearBack is what is shown where nothing else was picked.
const yearBack = "year"

func (r *record) timeline(f filter) timeline {
	if f.Since != "all" && f.Since != "quarter" {
		f.Since = yearBack
	}
	t := timeline{Filter: f, Picked: f.About != "" || f.From != "" || f.Kind != ""}
	all := r.dated()
	t.Total = len(all)
	for _, id := range r.order {
		t.People = append(t.People, option{id.String(), r.name(id), f.About == id.String()})
	}
	seenOwner, seenKind := map[string]bool{}, map[string]bool{}
	from := map[string]string{yearBack: r.now.AddDate(-1, 0, 0).Format(time.DateOnly), "quarter": r.now.AddDate(0, -3, 0).Format(time.DateOnly), "all": ""}[f.Since]
	var shown []entryCard
	for _, c := range all {
		if !seenOwner[c.OwnerCode] {
			seenOwner[c.OwnerCode] = true
			t.Owners = append(t.Owners, option{c.OwnerCode, c.Owner, f.From == c.OwnerCode})
		}
		if !seenKind[c.Statement] {
			seenKind[c.Statement] = true
			t.Kinds = append(t.Kinds, option{c.Statement, c.Statement, f.Kind == c.Statement})
		}
		id, _ := uuid.Parse(f.About)
		if f.About != "" && !slices.Contains(c.People, id) || f.From != "" && f.From != c.OwnerCode || f.Kind != "" && f.Kind != c.Statement {
			continue
		}
		if c.Day < from {
			t.Earlier++
			t.Back = c.Day
			continue
		}
		shown = append(shown, c)
	}
	byText := func(o []option) { sort.Slice(o, func(i, j int) bool { return o[i].Text < o[j].Text }) }
	byText(t.Owners)
	byText(t.Kinds)
	t.Items = r.lineItems(shown)
	if f.Order == "oldest" {
		slices.Reverse(t.Items)
	}
	return t
}

// lineItems puts the accounts of one event side by side, at the place of the
// newest of them. A lone account has no frame: "1 of 1" would tell of another.
func (r *record) lineItems(cards []entryCard) []lineItem {
	accounts := map[uuid.UUID][]entryCard{}
	for _, c := range cards {
		if c.Account != uuid.Nil {
			accounts[c.Account] = append(accounts[c.Account], c)
		}
	}
	today := r.now.Format(time.DateOnly)
	var out []lineItem
	done := map[uuid.UUID]bool{}
	for _, c := range cards {
		item := lineItem{Day: c.Day, Heading: r.words.say("line.heading", c.When, c.Heading), Future: c.Day > today, New: c.New, Entry: &c}
		if same := accounts[c.Account]; c.Account != uuid.Nil && len(same) > 1 {
			if done[c.Account] {
				continue
			}
			done[c.Account] = true
			// By the time of recording, not by rank.
			sort.SliceStable(same, func(i, j int) bool { return same[i].Recorded < same[j].Recorded })
			item.Entry, item.Accounts = nil, same
			item.Heading = r.words.say("line.accounts", longDay(same[0].Day))
			item.New = slices.ContainsFunc(same, func(c entryCard) bool { return c.New })
		}
		out = append(out, item)
	}
	return out
}
