package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"kith/internal/policy"
)

// rulesPage is the files of a draft, or of the version in force: the local rules
// and whatever else officers write as text.
type rulesPage struct {
	Draft    *draftHead
	Drafts   []pick
	Folders  []fileFolder
	Path     string
	Text     string
	Revision int64
	Lines    int
	Edit     bool
	Plain    bool // no editor, by wish
	Rego     bool
	Messages []fileMessage
	Checked  *checkedView
	New      string
	Theirs   string // what somebody else saved meanwhile
	Conflict bool
	Errors   []formError
	Done     string
	No       int
}

type fileFolder struct {
	Name    string
	Files   []fileLink
	Open    bool
	Changed int
}

type fileLink struct {
	Path, Name, Href string
	Current, Changed bool
}

// fileMessage is one thing that is wrong with a file, with its place.
type fileMessage struct {
	File string
	Line int
	Text string
	Href string
}

// checkedView is how a draft's stories and tests came out.
type checkedView struct {
	Tests    testLine
	Problems []fileMessage
	Failures []failureLine
	Coverage []coverageLine
}

type coverageLine struct {
	File    string
	Percent int
	Lines   string
}

// What the engine says around its messages and serves nobody.
var (
	errorsFollow = regexp.MustCompile(`^parse \S+: \d+ errors? occurred:$`)
	engineCode   = regexp.MustCompile(`\brego_\w+_error: `)
	parsePrefix  = regexp.MustCompile(`^(?:parse \S+: )?(?:\d+ errors? occurred: )?`)
)

var filePlace = regexp.MustCompile(`^((?:local|stories|matrix|sections|agreements)/[\w.-]+|[\w-]+\.yaml|README\.md):(\d+)(?::(\d+))?: ?(.*)$`)

// messages finds file and line in what the checks say.
func messages(draft string, lines []string) []fileMessage {
	var out []fileMessage
	for _, text := range lines {
		if errorsFollow.MatchString(text) {
			continue // each follows, with its place
		}
		text = engineCode.ReplaceAllString(parsePrefix.ReplaceAllString(text, ""), "")
		m := fileMessage{Text: upperFirst(text)}
		if found := filePlace.FindStringSubmatch(text); found != nil {
			m.File, m.Text = found[1], upperFirst(found[4])
			m.Line, _ = strconv.Atoi(found[2])
		} else if file, rest, ok := strings.Cut(text, ": "); ok && path.Ext(file) != "" && !strings.Contains(file, " ") {
			m.File, m.Text = file, upperFirst(rest)
		}
		if m.File != "" && draft != "" {
			m.Href = rulesAddress(draft, m.File)
		}
		out = append(out, m)
	}
	return out
}

func (s *Server) showRules(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := draftOf(r)
	if err != nil {
		return s.officeFault(err)
	}
	return s.rulesPage(w, r, v, http.StatusOK, id, r.URL.Query().Get("file"), rulesPage{Plain: r.URL.Query().Has("plain"), Done: s.noticeOf(r)})
}

// rulesPage draws the files; with holds what was typed, and what came of it.
func (s *Server) rulesPage(w http.ResponseWriter, r *http.Request, v visit, status int, id uuid.UUID, file string, with rulesPage) error {
	now, err := s.active(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	page := with
	page.No = now.No
	base, err := s.Office.Files(r.Context(), v.by(), now.Digest)
	if err != nil {
		return s.officeFault(err)
	}
	files := map[string]string{}
	draft := ""
	if id == uuid.Nil {
		for path, text := range base {
			if !strings.HasPrefix(path, "kernel/") {
				files[path] = text
			}
		}
	} else {
		d, err := s.Office.Draft(r.Context(), v.by(), id)
		if err != nil {
			return s.officeFault(err)
		}
		for _, f := range d.Files {
			files[f.Path] = f.Content
		}
		head := s.draftHead(d, now)
		head.Here = "rules"
		s.countDraft(&head, d, now, s.agencies(r.Context()))
		page.Draft, page.Edit, draft = &head, mayWrite(v) && !d.Submitted, id.String()
		if page.Revision == 0 {
			page.Revision = d.Revision
		}
	}
	drafts, err := s.Office.Drafts(r.Context(), v.by())
	if err != nil {
		return s.officeFault(err)
	}
	page.Drafts = append(page.Drafts, pick{Text: s.words.say("rules.in-force", now.No), Chosen: id == uuid.Nil})
	for _, d := range drafts {
		if !d.Submitted || d.ID == id {
			page.Drafts = append(page.Drafts, pick{Value: d.ID.String(), Text: d.Title, Chosen: d.ID == id})
		}
	}
	if _, ok := files[file]; !ok && page.Text == "" {
		file = firstFile(files)
	}
	page.Path, page.Rego = file, path.Ext(file) == ".rego"
	if page.Text == "" {
		page.Text = files[file]
	}
	page.Lines = min(max(strings.Count(page.Text, "\n")+2, 12), 40)
	page.Folders = folders(s, files, base, draft, file)
	if page.Messages == nil {
		page.Messages = messages(draft, policy.LintFile(file, page.Text))
	}
	title := s.words.say("rules.title")
	if len(page.Errors) > 0 {
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "rules", sheet{Title: title, Page: page, Nav: "rules"})
}

// firstFile is what is shown where nothing was chosen: a local rule, else the note.
func firstFile(files map[string]string) string {
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		if strings.HasPrefix(p, "local/") {
			return p
		}
	}
	if _, ok := files["version.yaml"]; ok {
		return "version.yaml"
	}
	return ""
}

func folders(s *Server, files, base map[string]string, draft, current string) []fileFolder {
	order := []string{"local", "stories", "matrix", "agreements", "sections", ""}
	at := map[string]int{}
	var out []fileFolder
	for i, name := range order {
		at[name] = i
		out = append(out, fileFolder{Name: s.words.say("rules.folder." + name), Open: name == "local"})
	}
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		folder, name, ok := strings.Cut(p, "/")
		if !ok {
			folder, name = "", p
		}
		i, known := at[folder]
		if !known {
			i = len(order) - 1
		}
		changed := draft != "" && base[p] != files[p]
		out[i].Files = append(out[i].Files, fileLink{Path: p, Name: name, Href: rulesAddress(draft, p), Current: p == current, Changed: changed})
		out[i].Open = out[i].Open || p == current
		if changed {
			out[i].Changed++
		}
	}
	return out
}

// saveRules saves a file of a draft, makes or removes one, or runs the tests.
func (s *Server) saveRules(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	id, err := draftOf(r)
	if err != nil || id == uuid.Nil {
		return s.officeFault(policy.ErrUnknown)
	}
	file, do := r.PostForm.Get("file"), r.PostForm.Get("do")
	text := strings.ReplaceAll(r.PostForm.Get("text"), "\r\n", "\n")
	revision, err := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	if err != nil {
		return s.officeFault(policy.ErrUnknown)
	}
	typed := rulesPage{Text: text, Revision: revision, Plain: r.PostForm.Has("plain")}
	edit := policy.FileEdit{Path: file, Content: text}
	done := "saved"
	switch do {
	case "tests":
		return s.testDraft(w, r, v, id, file)
	case "remove":
		edit.Remove, done = true, "removed"
	case "new":
		name := strings.TrimSpace(r.PostForm.Get("name"))
		if !newFile.MatchString(name) {
			return s.rulesPage(w, r, v, http.StatusBadRequest, id, file, rulesPage{New: name, Errors: []formError{{"name", s.words.say("rules.error-name")}}})
		}
		d, err := s.Office.Draft(r.Context(), v.by(), id)
		if err != nil {
			return s.officeFault(err)
		}
		if slices.ContainsFunc(d.Files, func(f policy.DraftFile) bool { return f.Path == name }) {
			return s.rulesPage(w, r, v, http.StatusBadRequest, id, file, rulesPage{New: name, Errors: []formError{{"name", s.words.say("rules.error-there")}}})
		}
		file, edit, revision = name, policy.FileEdit{Path: name, Content: beginning(name)}, d.Revision
	default:
		edit.Content = policy.Format(file, text)
	}
	_, _, err = s.Office.Edit(r.Context(), v.by(), v.request, id, revision, []policy.FileEdit{edit})
	var conflict *policy.Conflict
	var draft *policy.DraftError
	switch {
	case errors.As(err, &conflict):
		typed.Conflict, typed.Theirs, typed.Revision = true, conflict.Theirs, conflict.Revision
		typed.Errors = []formError{{"text", s.words.say("rules.error-conflict")}}
		return s.rulesPage(w, r, v, http.StatusConflict, id, file, typed)
	case errors.As(err, &draft):
		typed.Errors = []formError{{"text", upperFirst(draft.Text)}}
		return s.rulesPage(w, r, v, http.StatusUnprocessableEntity, id, file, typed)
	case err != nil:
		return s.officeFault(err)
	}
	to := rulesAddress(id.String(), file) + "&done=" + done
	if typed.Plain {
		to += "&plain"
	}
	if edit.Remove {
		to = "/policy/rules?draft=" + id.String() + "&done=" + done
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// newFile is what may be made here: rules, their tests and stories.
var newFile = regexp.MustCompile(`^(local/[a-z][a-z0-9_]*\.rego|stories/[a-z0-9-]+\.yaml)$`)

// beginning is what a new file starts with.
func beginning(name string) string {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	if path.Ext(name) != ".rego" {
		return "title: " + strings.ReplaceAll(base, "-", " ") + "\npeople: {}\nentries: {}\nasks: []\n"
	}
	rule := strings.TrimSuffix(base, "_test")
	if rule != base {
		return "package local." + base + "\n\nimport data.local." + rule + "\n"
	}
	return "package local." + base + "\n"
}

// testDraft runs the draft's stories and tests as it is saved.
func (s *Server) testDraft(w http.ResponseWriter, r *http.Request, v visit, id uuid.UUID, file string) error {
	checked, err := s.Office.Check(r.Context(), v.by(), id)
	page := rulesPage{}
	var draft *policy.DraftError
	switch {
	case errors.As(err, &draft):
		page.Errors = []formError{{"text", upperFirst(draft.Text)}}
		return s.rulesPage(w, r, v, http.StatusUnprocessableEntity, id, file, page)
	case errors.Is(err, policy.ErrSandboxLimit):
		page.Errors = []formError{{"text", s.words.say("error.sandbox.text")}}
		return s.rulesPage(w, r, v, http.StatusUnprocessableEntity, id, file, page)
	case err != nil:
		return s.officeFault(err)
	}
	view := &checkedView{Tests: testsOf(checked.Tests), Problems: messages(id.String(), checked.Problems)}
	for _, f := range checked.Tests.Failures {
		view.Failures = append(view.Failures, failureLine{File: f.File, Name: f.Name, Problem: f.Problem, Href: rulesAddress(id.String(), f.File)})
	}
	for _, c := range checked.Tests.Coverage {
		var lines []string
		for _, n := range c.NotCovered {
			lines = append(lines, strconv.Itoa(n))
		}
		view.Coverage = append(view.Coverage, coverageLine{File: c.File, Percent: int(c.Percent), Lines: strings.Join(lines, ", ")})
	}
	page.Checked = view
	return s.rulesPage(w, r, v, http.StatusOK, id, file, page)
}

// checkRules checks a file while it is typed. It stores and evaluates nothing.
func (s *Server) checkRules(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	if !mayWrite(v) {
		return &fault{status: http.StatusForbidden, key: "error.officer"}
	}
	file := r.PostForm.Get("file")
	type line struct {
		Line int    `json:"line"`
		Text string `json:"text"`
	}
	out := []line{}
	for _, m := range messages("", policy.LintFile(file, strings.ReplaceAll(r.PostForm.Get("text"), "\r\n", "\n"))) {
		text := m.Text
		if m.Line > 0 {
			text = s.words.say("rules.at", m.Line, m.Text)
		}
		out = append(out, line{Line: m.Line, Text: text})
	}
	said := s.words.count("rules.found", len(out))
	if len(out) == 0 {
		said = s.words.say("rules.clean")
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]any{"said": said, "messages": out})
}
