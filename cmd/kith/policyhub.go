package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kith/internal/policy"
)

// policyAtHub is every verb that talks to a hub.
func policyAtHub(ctx context.Context, o policyOptions, out io.Writer) error {
	var err error
	if o.url, o.token, err = signInAs(ctx, o.data, o.as, o.url, o.token); err != nil {
		return err
	}
	base, err := hubAddress(cmp.Or(o.url, "http://127.0.0.1:8080"))
	if err != nil {
		return err
	}
	c := officer{base: base, token: o.token, out: out}
	switch o.verb {
	case "pull":
		return c.pull(ctx, o.target)
	case "simulate":
		return c.simulate(ctx, o.target)
	case "push":
		return c.push(ctx, o.target, o.why, o.starts)
	case "drafts":
		return c.drafts(ctx)
	case "cell":
		return c.cell(ctx, o)
	case "try":
		return c.try(ctx, o)
	case "preview":
		return c.preview(ctx, o.target)
	case "refuse":
		return c.say(ctx, o.target, "refusals", "why", o.why)
	case "advise":
		return c.say(ctx, o.target, "advice", "advice", o.why)
	case "withdraw":
		return c.say(ctx, o.target, "withdrawal", "why", o.why)
	case "versions":
		return c.versions(ctx)
	case "show":
		return c.show(ctx, o.target)
	case "approve":
		return c.approve(ctx, o.target, o.why)
	case "activate":
		return c.submission(ctx, "/v1/policies/submissions/"+url.PathEscape(o.target)+"/activation", nil)
	case "return":
		return c.submission(ctx, "/v1/policies/"+url.PathEscape(o.target)+"/return", map[string]string{"why": o.why})
	case "agreements":
		return c.agreements(ctx)
	case "affected":
		return c.affected(ctx, o.target)
	case "stop":
		if err := c.affected(ctx, o.target); err != nil { // before it is done
			return err
		}
		return c.onAgreement(ctx, o, "suspensions")
	case "extend":
		return c.onAgreement(ctx, o, "extensions")
	case "sign":
		return c.onAgreement(ctx, o, "signatures")
	case "resume":
		return c.onAgreement(ctx, o, "resumptions")
	}
	return fmt.Errorf("no verb %q", o.verb)
}

// officer talks to a hub as one officer.
type officer struct {
	base  *url.URL
	token string
	out   io.Writer
}

// call sends one request and reads the answer, or the refusal in words.
func (c officer) call(ctx context.Context, method, path string, body, into any) error {
	return c.send(ctx, method, c.base.JoinPath(path), body, into)
}

func (c officer) get(ctx context.Context, path string, q url.Values, into any) error {
	at := c.base.JoinPath(path)
	at.RawQuery = q.Encode()
	return c.send(ctx, http.MethodGet, at, nil, into)
}

func (c officer) send(ctx context.Context, method string, at *url.URL, body, into any) error {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), content)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	if err != nil {
		return fmt.Errorf("read the hub's answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return refusedBy(res, raw)
	}
	return decodeInto(raw, into)
}

// refusedBy says what the hub refused, with what would mend it.
func refusedBy(res *http.Response, raw []byte) error {
	var p struct {
		Missing []string `json:"missing"`
		Changed []string `json:"changed"`
	}
	_ = json.Unmarshal(raw, &p) // a refusal without details is told by its title
	res.Body = io.NopCloser(bytes.NewReader(raw))
	lines := []string{problem(res).Error()}
	for _, agency := range p.Missing {
		lines = append(lines, "still to approve: "+cmp.Or(agency, "a second person"))
	}
	return errors.New(strings.Join(append(lines, p.Changed...), "\n  "))
}

func (c officer) pull(ctx context.Context, folder string) error {
	if _, err := os.Stat(folder); err == nil {
		return fmt.Errorf("%s is there already", folder)
	}
	var list struct{ Versions []policy.VersionLine }
	if err := c.call(ctx, http.MethodGet, "/v1/policies", nil, &list); err != nil {
		return err
	}
	i := slices.IndexFunc(list.Versions, func(v policy.VersionLine) bool { return v.State == "active" })
	if i < 0 {
		return policy.ErrNoActive
	}
	var version struct{ Files map[string]string }
	if err := c.call(ctx, http.MethodGet, "/v1/policies/"+list.Versions[i].Digest.String(), nil, &version); err != nil {
		return err
	}
	for path, content := range version.Files {
		if isKernel(path) || !filepath.IsLocal(path) {
			continue
		}
		to := filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(content), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "%s is in %s\n", list.Versions[i].Digest, folder)
	return nil
}

// draft opens a draft with a folder's files.
func (c officer) draft(ctx context.Context, folder string) (policy.Draft, error) {
	files, err := folderFiles(folder)
	if err != nil {
		return policy.Draft{}, err
	}
	var d policy.Draft
	if err := c.call(ctx, http.MethodPost, "/v1/policies/drafts", map[string]string{"title": filepath.Base(folder)}, &d); err != nil {
		return d, err
	}
	err = c.call(ctx, http.MethodPut, "/v1/policies/drafts/"+d.ID.String(), map[string]any{"revision": d.Revision, "files": files}, &d)
	return d, err
}

func (c officer) simulate(ctx context.Context, folder string) error {
	d, err := c.draft(ctx, folder)
	if err != nil {
		return err
	}
	var report policy.ChangeReport
	if err := c.call(ctx, http.MethodGet, "/v1/policies/drafts/"+d.ID.String()+"/changes", nil, &report); err != nil {
		return err
	}
	printReport(c.out, report)
	return nil
}

func (c officer) push(ctx context.Context, folder, why, starts string) error {
	body := map[string]any{"why": why}
	if starts != "" {
		at, err := time.Parse(time.RFC3339, starts)
		if err != nil {
			return fmt.Errorf("--starts is a time such as 2026-12-01T06:00:00Z, not %q", starts)
		}
		body["starts_at"] = at
	}
	d, err := c.draft(ctx, folder)
	if err != nil {
		return err
	}
	body["revision"] = d.Revision
	return c.submission(ctx, "/v1/policies/drafts/"+d.ID.String()+"/submission", body)
}

// submission posts something that answers with a submission, and prints it.
func (c officer) submission(ctx context.Context, path string, body any) error {
	var s policy.Submission
	if err := c.call(ctx, http.MethodPost, path, body, &s); err != nil {
		return err
	}
	if s.State == "open" {
		var err error
		if s, err = c.whole(ctx, s); err != nil {
			return err
		}
	}
	c.print(s)
	return nil
}

// whole waits until the rest of a submission's report is there, and says how
// far it is meanwhile.
func (c officer) whole(ctx context.Context, s policy.Submission) (policy.Submission, error) {
	told := time.Now()
	for wait := 50 * time.Millisecond; s.Effect != nil && s.Effect.State == policy.EffectComputing && s.State == "open" && !s.Void; wait = min(2*wait, 2*time.Second) {
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(c.out, "computing what it would have changed: %s, %d of %d\n", stageWords(s.Effect.Stage), s.Effect.Done, s.Effect.Total)
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(wait):
		}
		var now policy.Submission
		if err := c.call(ctx, http.MethodGet, "/v1/policies/submissions/"+s.ID.String(), nil, &now); err != nil {
			return s, err
		}
		s = now
	}
	return s, nil
}

func stageWords(stage string) string {
	if stage == policy.StageLive {
		return "the live records"
	}
	return "the accesses of the past"
}

// printEffect prints the part of the report that came after the rest.
func printEffect(out io.Writer, e *policy.Effect) {
	switch {
	case e == nil:
	case e.State == policy.EffectFailed:
		fmt.Fprintf(out, "what it would have changed could not be computed: %s\n", e.Why)
	case e.State == policy.EffectComputing:
		fmt.Fprintf(out, "what it would have changed is being computed: %s, %d of %d\n", stageWords(e.Stage), e.Done, e.Total)
	}
	if e == nil || e.Past == nil || e.Live == nil {
		return
	}
	p := e.Past
	fmt.Fprintf(out, "the past: %d accesses, %d replayed, %d with nothing decided, %d erased, %d damaged (%s)\n", p.Accesses, p.Replayed, p.Nothing, p.Erased, p.Damaged, p.Took)
	for _, a := range p.Agencies {
		if a.Opened.N+a.Closed.N > 0 {
			fmt.Fprintf(out, "  %s: accesses that would have shown more %s, less %s\n", a.Agency, a.Opened, a.Closed)
		}
	}
	for _, l := range p.Lines {
		fmt.Fprintf(out, "  %s\n", l.Words)
		for _, x := range l.Examples {
			fmt.Fprintf(out, "    event %s, family %s\n", x.Event, x.Family)
		}
	}
	fmt.Fprintf(out, "the live records: %d of %d families, as %d workers see them (%s)\n", e.Live.Looked, e.Live.Families, e.Live.Workers, e.Live.Took)
	for _, l := range e.Live.Lines {
		fmt.Fprintf(out, "  %s\n", l.Words)
	}
}

func (c officer) print(s policy.Submission) {
	if s.Report != nil && s.State == "open" {
		printReport(c.out, *s.Report)
		printEffect(c.out, s.Effect)
	}
	fmt.Fprintf(c.out, "submission %s  %s\nversion    %s\nin place of %s\n", s.ID, s.State, s.Digest, s.ComparedWith)
	for _, a := range s.Approvals {
		fmt.Fprintf(c.out, "approved by %s for %s\n", a.Name, a.Agency)
	}
	for _, r := range s.Refusals {
		fmt.Fprintf(c.out, "refused by %s for %s: %s\n", r.Name, r.Agency, r.Why)
	}
	for _, a := range s.Advice {
		fmt.Fprintf(c.out, "%s of %s advises: %s\n", a.Name, a.Agency, a.Advice)
	}
	if s.State != "open" {
		return
	}
	if s.StartsAt != nil {
		fmt.Fprintf(c.out, "starts %s\n", s.StartsAt.UTC().Format(time.RFC3339))
	}
	for _, agency := range s.Missing {
		fmt.Fprintf(c.out, "still to approve: %s\n", cmp.Or(agency, "a second person"))
	}
	if len(s.Missing) == 0 {
		fmt.Fprintln(c.out, "nothing is missing: it can be activated")
	}
}

func (c officer) versions(ctx context.Context) error {
	var list struct{ Versions []policy.VersionLine }
	if err := c.call(ctx, http.MethodGet, "/v1/policies", nil, &list); err != nil {
		return err
	}
	for _, v := range list.Versions {
		fmt.Fprintf(c.out, "%s  %-9s  %s  %s\n", v.Digest, v.State, v.CreatedAt.UTC().Format("2006-01-02 15:04"), v.Name)
	}
	var subs struct{ Submissions []policy.Submission }
	if err := c.call(ctx, http.MethodGet, "/v1/policies/submissions", nil, &subs); err != nil {
		return err
	}
	for _, s := range subs.Submissions {
		fmt.Fprintf(c.out, "submission %s  %-9s  %s  %s\n", s.ID, s.State, s.Agency, s.Why)
	}
	return nil
}

func (c officer) show(ctx context.Context, id string) error {
	var s policy.Submission
	if err := c.call(ctx, http.MethodGet, "/v1/policies/submissions/"+url.PathEscape(id), nil, &s); err != nil {
		return err
	}
	c.print(s)
	return nil
}

// approve names the two versions that the hub shows: what was looked at with
// `kith policy show` and what is approved are the same by their digests.
func (c officer) approve(ctx context.Context, id, why string) error {
	path := "/v1/policies/submissions/" + url.PathEscape(id)
	var s policy.Submission
	if err := c.call(ctx, http.MethodGet, path, nil, &s); err != nil {
		return err
	}
	return c.submission(ctx, path+"/approvals", map[string]any{"digest": s.Digest, "compared_with": s.ComparedWith, "why": why})
}
