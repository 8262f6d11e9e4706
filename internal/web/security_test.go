package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// TestBrowserDefences tries what a hostile page or a planted cookie could do.
func TestBrowserDefences(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	family := h.stories["trio"].ID
	at := "/families/" + family.String()

	t.Run("every page says that nothing is kept, framed or run", func(t *testing.T) {
		b := h.as(t, "social-worker")
		b.open(family, "FS")
		for _, path := range []string{"/", at, at + "/purpose", at + "/print", at + "/parts/identity", "/me/accesses", "/help", "/accessibility", "/sign-in", "/nowhere"} {
			a := b.get(path)
			for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
			csp := a.Header.Get("Content-Security-Policy")
			if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
				t.Errorf("%s: policy %q", path, csp)
			}
			for _, inline := range []string{"<style", " style=", " onclick=", "javascript:", "<script>"} {
				if strings.Contains(a.body, inline) {
					t.Errorf("%s: has %q in it", path, inline)
				}
			}
		}
	})
	t.Run("the session's cookie is bound to the host and out of reach", func(t *testing.T) {
		b := h.browser(t)
		a := b.get(b.callback("social-worker", "/"))
		found := false
		for _, c := range a.Cookies() {
			if c.Name != "__Host-kith" {
				continue
			}
			found = true
			if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 {
				t.Errorf("cookie %+v", c)
			}
		}
		if !found {
			t.Error("no session cookie")
		}
	})
	t.Run("a token planted before the sign-in is worth nothing", func(t *testing.T) {
		b := h.browser(t)
		planted := strings.Repeat("A", 43)
		b.cookies["__Host-kith"] = planted
		b.signIn("social-worker")
		if b.cookies["__Host-kith"] == planted {
			t.Error("the planted token was adopted")
		}
		thief := h.browser(t)
		thief.cookies["__Host-kith"] = planted
		if a := thief.get("/"); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/sign-in") {
			t.Errorf("with the planted token: status %d", a.StatusCode)
		}
	})
	t.Run("a second sign-in ends the first session", func(t *testing.T) {
		b := h.as(t, "social-worker")
		first := b.cookies["__Host-kith"]
		b.signIn("social-worker")
		old := h.browser(t)
		old.cookies["__Host-kith"] = first
		if a := old.get("/"); a.StatusCode != http.StatusSeeOther {
			t.Errorf("with the first token: status %d", a.StatusCode)
		}
	})
	t.Run("another browser's answer signs nobody in", func(t *testing.T) {
		theirs := h.browser(t).callback("social-worker", "/")
		mine := h.browser(t)
		if a := mine.get(theirs); a.StatusCode != http.StatusForbidden || mine.cookies["__Host-kith"] != "" {
			t.Errorf("status %d, cookies %v", a.StatusCode, len(mine.cookies))
		}
	})
	t.Run("a form of another site does nothing", func(t *testing.T) {
		b := h.as(t, "social-worker")
		for name, change := range map[string]func(*http.Request){
			"cross-site":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"same-site":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
			"by its origin": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") },
			"null origin":   func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
		} {
			for _, path := range []string{at + "/purpose", "/sign-out", "/session/extend", at + "/print", "/sign-in", "/search", "/entries/new", "/drafts", "/cover",
				"/involvements/new", "/restrictions/new", "/grants/new", "/entries/" + uuid.Nil.String() + "/concern"} {
				if a := b.send(http.MethodPost, path, url.Values{"purpose": {"FS"}}, change); a.StatusCode != http.StatusForbidden {
					t.Errorf("%s, %s: status %d", path, name, a.StatusCode)
				}
			}
		}
		if a := b.get("/"); a.StatusCode != http.StatusOK {
			t.Errorf("the session is gone: status %d", a.StatusCode)
		}
	})
	t.Run("sign-in sends nobody elsewhere", func(t *testing.T) {
		for _, back := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/%2f%2fevil.example", "javascript:alert(1)"} {
			b := h.browser(t)
			a := b.get(b.callback("social-worker", back))
			if to := a.Header.Get("Location"); to != "/" {
				t.Errorf("back %q leads to %q", back, to)
			}
			page := h.browser(t).get("/sign-in?back=" + url.QueryEscape(back))
			if strings.Contains(page.body, "evil.example") {
				t.Errorf("back %q stands in the page", back)
			}
		}
		b := h.browser(t)
		if a := b.get(b.callback("social-worker", at)); a.Header.Get("Location") != at {
			t.Errorf("a page of ours is forgotten: %q", a.Header.Get("Location"))
		}
	})
	t.Run("a prefetch reads nothing and logs nothing", func(t *testing.T) {
		b := h.as(t, "social-worker")
		b.open(family, "FS")
		before := h.events(t)
		for _, value := range []string{"prefetch", "prefetch;prerender", "prerender"} {
			a := b.send(http.MethodGet, at, nil, func(r *http.Request) { r.Header.Set("Sec-Purpose", value) })
			if a.StatusCode != http.StatusForbidden || strings.Contains(a.body, "Doyle") {
				t.Errorf("%s: status %d", value, a.StatusCode)
			}
		}
		if after := h.events(t); after != before {
			t.Errorf("%d events were written", after-before)
		}
	})
	t.Run("after sign-out the token opens nothing", func(t *testing.T) {
		b := h.as(t, "social-worker")
		token := b.cookies["__Host-kith"]
		a := b.post("/sign-out", url.Values{})
		if a.StatusCode != http.StatusOK || b.cookies["__Host-kith"] != "" || a.Header.Get("Clear-Site-Data") == "" {
			t.Errorf("status %d, Clear-Site-Data %q", a.StatusCode, a.Header.Get("Clear-Site-Data"))
		}
		if to := b.get(b.leave(a)).Header.Get("Location"); to != h.base+"/sign-out/done" {
			t.Errorf("the issuer sends to %q", to)
		}
		b.cookies["__Host-kith"] = token
		if a := b.get(at); a.StatusCode != http.StatusSeeOther {
			t.Errorf("status %d", a.StatusCode)
		}
	})
	t.Run("two cookies of one name are as good as none", func(t *testing.T) {
		b := h.as(t, "social-worker")
		a := b.send(http.MethodGet, "/", nil, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__Host-kith", Value: strings.Repeat("B", 43)}) })
		if a.StatusCode != http.StatusSeeOther {
			t.Errorf("status %d", a.StatusCode)
		}
	})
	t.Run("what is typed is shown as text", func(t *testing.T) {
		b := h.as(t, "social-worker")
		a := b.post(at+"/purpose", url.Values{"purpose": {"nonsense"}, "reason": {`</textarea><script>alert(1)</script>`}})
		if a.StatusCode != http.StatusBadRequest || strings.Contains(a.body, "<script>alert") || !strings.Contains(a.body, "&lt;/textarea&gt;") {
			t.Errorf("status %d", a.StatusCode)
		}
	})
}

// TestRefusedAndUnknownAreOnePage: hidden and absent have one face.
func TestRefusedAndUnknownAreOnePage(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	closed, absent := h.stories["closed"].ID, uuid.MustParse("3f1c2b44-9d2e-4f5a-8c55-0d8a6d0f9b11")
	for _, name := range []string{"perpetrator-practitioner", "social-worker", "outsider", "detective"} {
		b := h.as(t, name)
		var pages [2]string
		var status [2]int
		for i, id := range []uuid.UUID{closed, absent} {
			ask := b.get("/families/" + id.String() + "/purpose")
			purpose := "FS"
			a := b.open(id, purpose)
			pages[i] = strings.ReplaceAll(tidy(ask.body)+tidy(a.body), id.String(), "ID")
			status[i] = a.StatusCode
		}
		if status[0] == http.StatusOK {
			continue // not closed to this one
		}
		if status[0] != status[1] || pages[0] != pages[1] {
			t.Errorf("%s: a closed family and one that there is not differ: %d and %d", name, status[0], status[1])
		}
		if a := b.get("/families/not-an-id"); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: no id: status %d", name, a.StatusCode)
		}
	}
}

// TestNoPageBeforeSignIn: all but four pages ask for a session.
func TestNoPageBeforeSignIn(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	b := h.browser(t)
	at := "/families/" + h.stories["trio"].ID.String()
	for _, path := range []string{"/", at, at + "/purpose", at + "/print", at + "/parts/identity", "/me/accesses", "/search", "/open?scheme=CSC&value=1", "/entries/new", "/entries/" + uuid.Nil.String(),
		"/people/" + uuid.Nil.String(), "/involvements", "/involvements/new", "/restrictions", "/grants", "/concerns", "/covered", "/drafts/" + uuid.Nil.String()} {
		a := b.get(path)
		if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/sign-in?back=") {
			t.Errorf("%s: status %d to %q", path, a.StatusCode, a.Header.Get("Location"))
		}
	}
	for _, path := range []string{"/sign-in", "/help", "/accessibility", "/sign-out/done"} {
		if a := b.get(path); a.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", path, a.StatusCode)
		}
	}
}
