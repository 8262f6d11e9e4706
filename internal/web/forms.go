package web

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// control is one question of a form, with what was typed into it.
type control struct {
	Kind        string // text, area, date, when, radios, boxes
	Name        string
	Label, Hint string
	Value       string
	Error       string
	Rows        int
	Most        int // characters
	Width       int // of a text, in characters: 2, 4, 10, 20
	Options     []choiceOf
	Small       bool // the label is no heading of its own
	Day         string
	Month, Year string
}

// choiceOf is one answer to a question with fixed answers.
type choiceOf struct {
	Value, Label, Hint string
	Chosen             bool
}

// ID is where a link to the question leads: its first field.
func (c control) ID() string {
	if c.Kind == "date" || c.Kind == "when" {
		return c.Name + "-day"
	}
	return c.Name
}

// OptionID tells apart the answers to one question.
func (c control) OptionID(i int) string {
	if i == 0 {
		return c.Name
	}
	return c.Name + "-" + strconv.Itoa(i)
}

// sheetForm is a form as a page shows it.
type sheetForm struct {
	Action   string
	Draft    string    // of what is typed; it makes the write happen once as well
	Kept     time.Time // where it was kept from an earlier time
	Hidden   []hiddenField
	Controls []*control
	Errors   []formError
	Button   string
	Warning  bool // the button ends or closes something
}

type hiddenField struct{ Name, Value string }

// fail puts a message at a question, and lists it.
func (f *sheetForm) fail(name, text string) {
	field := name
	for _, c := range f.Controls {
		if c.Name == name {
			c.Error, field = text, c.ID()
		}
	}
	if field == name && len(f.Controls) > 0 && !slices.ContainsFunc(f.Controls, func(c *control) bool { return c.Name == name }) {
		field = f.Controls[0].ID()
	}
	f.Errors = append(f.Errors, formError{Field: field, Text: text})
}

// answers are what was typed, by name.
type answers struct{ url.Values }

// text gives one answer without spaces around it.
func (a answers) text(name string) string { return strings.TrimSpace(a.Get(name)) }

// fill puts what was typed back into the questions.
func (a answers) fill(all []*control) {
	for _, c := range all {
		c.Value = strings.ReplaceAll(a.Get(c.Name), "\r\n", "\n")
		c.Day, c.Month, c.Year = a.Get(c.Name+"-day"), a.Get(c.Name+"-month"), a.Get(c.Name+"-year")
		for i := range c.Options {
			c.Options[i].Chosen = slices.Contains(a.Values[c.Name], c.Options[i].Value)
		}
	}
}

// day reads a whole day from three fields: "" and true where all are empty.
func (a answers) day(name string) (string, bool) {
	d, m, y := a.text(name+"-day"), a.text(name+"-month"), a.text(name+"-year")
	if d == "" && m == "" && y == "" {
		return "", true
	}
	t, err := time.Parse("2006-1-2", y+"-"+strings.TrimLeft(m, "0")+"-"+strings.TrimLeft(d, "0"))
	if err != nil || len(y) != 4 {
		return "", false
	}
	return t.Format(time.DateOnly), true
}

// when reads a time as far as it is known: a day, a month or a year, and words.
func (a answers) when(name string) (string, bool) {
	d, m, y, said := a.text(name+"-day"), a.text(name+"-month"), a.text(name+"-year"), a.text(name+"-words")
	month, err := strconv.Atoi(m)
	switch {
	case d == "" && m == "" && y == "":
		return said, true
	case len(y) != 4 || d != "" && m == "":
		return "", false
	case d != "":
		day, ok := a.day(name)
		return strings.TrimSpace(day + " " + said), ok
	case m != "":
		return fmt.Sprintf("%s-%02d", y, month), err == nil && month >= 1 && month <= 12
	}
	return y, true
}

// dayInto splits a day for three fields.
func dayInto(v url.Values, name, day string) {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return
	}
	v.Set(name+"-day", strconv.Itoa(t.Day()))
	v.Set(name+"-month", strconv.Itoa(int(t.Month())))
	v.Set(name+"-year", strconv.Itoa(t.Year()))
}

// begin makes a form ready that is asked for: from what was kept of an earlier
// time, or with room to keep what will be typed. The title names nobody.
func (s *Server) begin(r *http.Request, v visit, place, title string) (answers, sheetForm, error) {
	f := sheetForm{Action: strings.SplitN(place, "?", 2)[0]}
	if id, err := uuid.Parse(r.URL.Query().Get("draft")); err == nil {
		d, err := s.SignIn.Draft(r.Context(), v.by(), id)
		if err == nil {
			f.Draft, f.Kept = d.ID.String(), d.Kept
			return answers{d.Body}, f, nil
		}
		if !errors.Is(err, identity.ErrNoDraft) {
			return answers{}, f, err
		}
	}
	id, err := s.SignIn.BeginDraft(r.Context(), v.by(), place, title)
	f.Draft = id.String()
	return answers{url.Values{}}, f, err
}

// sent reads a form that came in, and keeps it until it is saved.
func (s *Server) sent(r *http.Request) (answers, sheetForm, error) {
	f := sheetForm{Action: r.URL.Path}
	if err := r.ParseForm(); err != nil {
		return answers{}, f, notShown(disclosure.Call{})
	}
	a := answers{url.Values{}}
	for name, values := range r.PostForm {
		for _, x := range values {
			a.Add(name, strings.ToValidUTF8(strings.ReplaceAll(strings.ReplaceAll(x, "\x00", ""), "\r\n", "\n"), ""))
		}
	}
	f.Draft = a.Get("draft")
	a.Del("draft")
	if id, err := uuid.Parse(f.Draft); err == nil {
		if err := s.SignIn.KeepDraft(r.Context(), id, a.Values); err != nil && !errors.Is(err, identity.ErrNoDraft) {
			return a, f, err
		}
	} else {
		f.Draft = uuid.NewString()
	}
	return a, f, nil
}

// once makes a write of a form happen once, however often its button is pressed.
func (f sheetForm) once(r *http.Request, a answers) disclosure.Once {
	plain := url.Values{}
	for name, v := range a.Values {
		if name != "act" {
			plain[name] = v
		}
	}
	return disclosure.Once{Key: "page-" + f.Draft, Digest: sha256.Sum256([]byte(r.URL.Path + "\x00" + plain.Encode()))}
}

// saved forgets what was kept of a form.
func (s *Server) saved(r *http.Request, v visit, f sheetForm) error {
	id, err := uuid.Parse(f.Draft)
	if err != nil {
		return nil
	}
	return s.SignIn.DropDraft(r.Context(), v.by(), id)
}

// hide carries everything that was typed through a check page.
func (f *sheetForm) hide(a answers) {
	names := make([]string, 0, len(a.Values))
	for name := range a.Values {
		if name != "act" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range a.Values[name] {
			f.Hidden = append(f.Hidden, hiddenField{name, v})
		}
	}
}

// refuse turns the error of a write into a message in its form; false where it
// is no matter of the form. at gives the question that a field belongs to.
func (s *Server) refuse(f *sheetForm, err error, at func(field string) string) bool {
	var field *family.FieldError
	var denied *disclosure.Denied
	switch {
	case errors.As(err, &field):
		name := at(field.Field)
		label := ""
		for _, c := range f.Controls {
			if c.Name == name {
				label = c.Label
			}
		}
		if label == "" {
			label = upperFirst(strings.ReplaceAll(field.Field[strings.LastIndexByte(field.Field, '.')+1:], "_", " "))
		}
		f.fail(name, s.words.say("form.rule", label, field.Rule))
	case errors.As(err, &denied):
		f.fail("", denied.Shown)
	case errors.Is(err, disclosure.ErrKeyReused):
		f.fail("", s.words.say("form.saved-before"))
	case errors.Is(err, disclosure.ErrAlready):
		f.fail("", s.words.say("form.already"))
	case errors.Is(err, disclosure.ErrUnknown), errors.Is(err, family.ErrNoEntry), errors.Is(err, identity.ErrNoSuchWorker), errors.Is(err, family.ErrNoConcern):
		f.fail("", s.words.say("form.unknown"))
	case errors.Is(err, disclosure.ErrNotOwner):
		f.fail("", s.words.say("form.not-owner"))
	default:
		return false
	}
	return true
}

// title marks the title of a page with errors, so that it is heard first.
func (s *Server) titled(title string, f sheetForm) string {
	if len(f.Errors) > 0 {
		return s.words.say("form.error-title", title)
	}
	return title
}

func statusOf(f sheetForm) int {
	if len(f.Errors) > 0 {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// options makes answers of codes with words.
func (s *Server) options(prefix string, codes ...string) []choiceOf {
	out := make([]choiceOf, 0, len(codes))
	for _, c := range codes {
		out = append(out, choiceOf{Value: c, Label: upperFirst(s.words.say(prefix + c)), Hint: s.words.known(prefix+c+".hint", "")})
	}
	return out
}
