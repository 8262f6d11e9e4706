package web_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestWithoutMouse takes a worker from the sign-in page to a question about an
// entry by the keyboard alone. Whatever has the focus must be in sight and look
// like it.
func TestWithoutMouse(t *testing.T) {
	h := newHub(t)
	w := h.window(t, startChromium(t))
	story := h.stories["three-ways"]
	at := "/families/" + story.ID.String()

	w.goTo("/")
	w.tabTo(`input[name=agency]`)
	for ask(w, chromedp.Evaluate[string](`document.activeElement.value`)) != "csc" {
		w.keys(keyDown)
	}
	w.keys(" ")
	w.tabTo(`main button`)
	w.enter(`button[name=person]`)
	w.tabToAt(`button[name=person][value=social-worker]`, 200, false) // the issuer's page is not ours to judge
	w.enter(`.k-header__who`)

	// The first stop of a page is the way past its head.
	w.tabTo(`.govuk-skip-link`)
	w.keys(keyEnter)
	w.waitFor(`document.activeElement.id === "main"`)
	w.tabTo(`form[action="` + at + `/purpose"] button`)
	w.enter(`#stories`)

	w.tabTo(`a[href="#line"]`)
	w.keys(keyEnter)
	w.waitFor(`location.hash === "#line"`)
	w.tabTo(`#f-since`)
	w.keys("A") // "All of it"
	w.tabTo(`.k-filter button`)
	w.enter(`#f-since option[value=all][selected]`)

	w.tabTo(`.k-line-list a[href*="/concern?"]`)
	w.enter(`main textarea`)
	w.tabTo(`main input[type=radio]`)
	w.keys(" ")
	w.tabTo(`main textarea`)
	w.keys("The day is wrong.")
	w.tabTo(`main button[type=submit]`)
	w.keys(keyEnter)
	w.waitFor(`document.querySelector("main h1") !== null && !document.querySelector("main textarea")`)
	if n := h.count(t, `SELECT count(*) FROM access_event WHERE kind = 'concern'`); n != 1 {
		t.Errorf("%d questions were recorded", n)
	}
	// Sign-out is within reach too.
	w.tabTo(`.k-header form[action="/sign-out"] button`)
	w.enter(`a[href^="/sign-in"]`)
}

const keyTab = "\t"

// enter presses Enter on what has the focus, and waits for the next page.
func (w *window) enter(next string) {
	w.t.Helper()
	w.keys(keyEnter)
	w.waitFor(fmt.Sprintf(`document.readyState === "complete" && document.querySelector(%q) !== null`, next))
}

// tabTo presses Tab until this has the focus, looking at every stop on the way.
func (w *window) tabTo(css string) { w.t.Helper(); w.tabToAt(css, 300, true) }

func (w *window) tabToAt(css string, most int, ours bool) {
	w.t.Helper()
	for range most {
		w.keys(keyTab)
		if ours {
			if fault := ask(w, chromedp.Evaluate[string](focusFault)); fault != "" {
				w.t.Errorf("on the way to %s: %s", css, fault)
			}
		}
		if ask(w, chromedp.Evaluate[bool](fmt.Sprintf(`document.activeElement.matches(%q)`, css))) {
			return
		}
	}
	w.t.Fatalf("the Tab key does not reach %s", css)
}

// focusFault says what is wrong with how the focus is shown; "" is nothing. The
// focused element must lie in the window, with nothing over its middle, and
// differ from how it looks without focus: a coloured ground, a shadow, a line
// around it, or (a figure of the drawing, a radio) something inside that does.
const focusFault = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body || e === document.documentElement) return "";
	const what = e.outerHTML.slice(0, 120);
	const box = (e.closest(".govuk-radios__item, .govuk-checkboxes__item") || e).getBoundingClientRect();
	if (box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) return "out of sight: " + what;
	const x = Math.min(Math.max(box.left + Math.min(box.width, 40) / 2, 0), innerWidth - 1), y = Math.min(Math.max((Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2, 0), innerHeight - 1);
	const over = document.elementFromPoint(x, y);
	const sticky = over && !e.contains(over) && !over.contains(e) && ["sticky", "fixed"].includes(getComputedStyle(over).position);
	if (sticky) return "covered by " + over.className + ": " + what;
	const parts = [e, ...e.querySelectorAll("rect, circle, path"), e.nextElementSibling].filter(Boolean);
	const looks = () => JSON.stringify(parts.flatMap(p => [p, "::before", "::after"].map(q => {
		const s = typeof q === "string" ? getComputedStyle(p, q) : getComputedStyle(p);
		return [s.backgroundColor, s.boxShadow, s.outlineStyle + s.outlineWidth + s.outlineColor, s.borderTopWidth, s.borderTopColor, s.fill, s.strokeWidth];
	})));
	const focused = looks();
	e.blur();
	const without = looks();
	e.focus({preventScroll: true});
	return focused === without ? "looks the same without the focus: " + what : "";
})()`

// emulate makes the browser say how its user wants to see.
func (w *window) emulate(features ...string) {
	w.t.Helper()
	var list []*emulation.MediaFeature
	for i := 0; i < len(features); i += 2 {
		list = append(list, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
	}
	w.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: list})
		return err
	}))
}

// TestSeenOtherwise looks at the worker's pages as people see them who enlarge
// to 400 %, who chose their own colours, and who cannot bear movement.
func TestSeenOtherwise(t *testing.T) {
	h := newHub(t)
	w := h.window(t, startChromium(t))
	w.signIn("social-worker")
	story := h.stories["three-ways"]
	at := "/families/" + story.ID.String()
	w.do(chromedp.Click(chromedp.CSS(`form[action="`+at+`/purpose"] button`)), chromedp.WaitVisible(chromedp.CSS("#stories")))
	person := ask(w, chromedp.Evaluate[string](`document.querySelector('.k-people a[href^="/people/"]').getAttribute("href")`))
	entry := ask(w, chromedp.Evaluate[string](`document.querySelector('.k-screen a[href^="/entries/"]').getAttribute("href")`))
	pages := []string{"/", "/search", at, at + "/purpose", at + "/parts/police-events", at + "/print", person, entry,
		strings.Replace(entry, "?", "/concern?", 1), "/entries/new?family=" + story.ID.String(), "/me/accesses", "/help", "/accessibility"}

	t.Run("400 per cent", func(t *testing.T) {
		w := w.in(t)
		// 1280 by 900 CSS pixels enlarged four times.
		w.do(chromedp.EmulateViewport(320, 225, chromedp.EmulateScale(4)))
		for _, page := range pages {
			w.goTo(page)
			if out := ask(w, chromedp.Evaluate[string](beyondTheEdge)); out != "" {
				t.Errorf("%s: stands out sideways, or is cut off: %s", page, out)
			}
		}
		w.do(chromedp.EmulateViewport(1280, 900))
	})
	t.Run("forced colours", func(t *testing.T) {
		w := w.in(t)
		w.emulate("forced-colors", "active")
		w.goTo(at)
		for what, condition := range map[string]string{
			"the browser says so":               `matchMedia("(forced-colors: active)").matches`,
			"a label keeps its frame":           `framed(".k-label") && framed(".k-label__mark")`,
			"a masked field keeps its box":      `framed(".k-masked")`,
			"what the statement is keeps a box": `framed(".k-badge")`,
			"up to date and old keep a box":     `framed(".k-state")`,
			"accounts keep their frames":        `framed(".k-accounts article")`,
			"the lines of the drawing are seen": `[...document.querySelectorAll(".k-line, .k-drawing .k-figure circle")].every(e => getComputedStyle(e).stroke !== ground && getComputedStyle(e).stroke !== "none")`,
			"nobody's colours are overridden":   `[...document.querySelectorAll("main *, header *")].every(e => getComputedStyle(e).forcedColorAdjust !== "none" || e.closest("svg, .k-key"))`,
			"the focus has a line around it":    `(() => { const a = document.querySelector("main a"); a.focus(); const s = getComputedStyle(a); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2; })()`,
		} {
			if !ask(w, chromedp.Evaluate[bool](`(() => {
				const ground = getComputedStyle(document.body).backgroundColor;
				const framed = css => { const all = [...document.querySelectorAll(css)]; return all.length > 0 && all.every(e => { const s = getComputedStyle(e); return s.borderTopStyle !== "none" && parseFloat(s.borderTopWidth) >= 1; }); };
				return `+condition+`;
			})()`)) {
				t.Errorf("not so: %s", what)
			}
		}
		w.picture("family-forced-colours")
	})
	t.Run("reduced motion", func(t *testing.T) {
		w := w.in(t)
		w.emulate("prefers-reduced-motion", "reduce")
		for _, page := range []string{"/", at, "/search"} {
			w.goTo(page)
			if moving := ask(w, chromedp.Evaluate[string](`(() => {
				if (!matchMedia("(prefers-reduced-motion: reduce)").matches) return "the wish is not heard";
				const still = t => t.split(",").every(x => parseFloat(x) === 0);
				const e = [...document.querySelectorAll("*")].find(e => { const s = getComputedStyle(e); return !still(s.animationDuration) || !still(s.transitionDuration) || s.scrollBehavior === "smooth"; });
				return e ? e.outerHTML.slice(0, 120) : "";
			})()`)); moving != "" {
				t.Errorf("%s: %s moves", page, moving)
			}
		}
	})
	w.emulate()
}

// in is the window within a part of a test.
func (w *window) in(t *testing.T) *window {
	part := *w
	part.t = t
	return &part
}

// beyondTheEdge names the first element that makes the page wider than the
// window, or that hides a part of its own text. Named regions may scroll.
const beyondTheEdge = `(() => {
	const width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > width) return "the page has " + document.documentElement.scrollWidth + " of " + width + " pixels";
	for (const e of document.querySelectorAll("body *")) {
		if (e.closest(".k-scroll, .govuk-visually-hidden, .govuk-skip-link, thead, svg, select, textarea, input") || !e.offsetParent) continue;
		const s = getComputedStyle(e);
		if (e.getBoundingClientRect().right > width + 1) return e.outerHTML.slice(0, 120);
		if (["hidden", "clip"].includes(s.overflowX) && e.scrollWidth > e.clientWidth + 1) return "cut: " + e.outerHTML.slice(0, 120);
	}
	return "";
})()`
