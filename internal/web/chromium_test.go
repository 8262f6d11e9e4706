package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chromium finds Debian's browser, installs it where that can be done, and
// otherwise skips so that nobody overlooks it.
func chromium(t *testing.T) string {
	t.Helper()
	find := func() string {
		for _, name := range []string{os.Getenv("KITH_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
			if path, err := exec.LookPath(name); name != "" && err == nil {
				return path
			}
		}
		return ""
	}
	if path := find(); path != "" {
		return path
	}
	if apt, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		for _, args := range [][]string{{"update", "-qq"}, {"install", "-y", "-qq", "--no-install-recommends", "chromium"}} {
			cmd := exec.CommandContext(t.Context(), apt, args...)
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Logf("apt-get %s: %v\n%s", args[0], err, out)
				break
			}
		}
	}
	path := find()
	if path == "" {
		t.Skip("SKIPPED, NOT PASSED: there is no Chromium here; install the package chromium, or set KITH_CHROMIUM")
	}
	return path
}

// window is a real browser with a person in front of it.
type window struct {
	t   *testing.T
	h   *hub
	ctx context.Context
	axe string
}

// open starts one browser for a test; each window is a profile of its own.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.WindowSize(1280, 900), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-prefers-reduced-motion", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

func (h *hub) window(t *testing.T, browser context.Context) *window {
	t.Helper()
	return h.windowFor(t, browser, 4*time.Minute)
}

// windowFor is a window for a walk that takes longer.
func (h *hub) windowFor(t *testing.T, browser context.Context, limit time.Duration) *window {
	t.Helper()
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("SKIPPED, NOT PASSED: axe-core is not installed; run npm ci in internal/web")
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the first must have no limit of its own
		t.Fatalf("open a window: %v", err)
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	t.Cleanup(stop)
	w := &window{t: t, h: h, ctx: ctx, axe: string(axe)}
	w.do(chromedp.EmulateViewport(1280, 900))
	return w
}

// settled repeats what a page that was just being replaced could not do: the
// node that was found is gone before it is pressed or filled, so nothing was done.
func settled(try func() error) error {
	for n := 0; ; n++ {
		err := try()
		if err == nil || n == 20 || !strings.Contains(err.Error(), "-32000") {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *window) do(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	for _, a := range actions {
		if err := settled(func() error { return chromedp.Do(w.ctx, a) }); err != nil {
			w.t.Fatal(err)
		}
	}
}

// ask runs an action that answers.
func ask[T any](w *window, a chromedp.Action[T]) T {
	w.t.Helper()
	var v T
	if err := settled(func() (err error) { v, err = chromedp.Run(w.ctx, a); return err }); err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *window) goTo(path string) { w.t.Helper(); w.do(chromedp.Navigate(w.h.base + path)) }

// click presses what can be pressed under these words, and waits for the next page.
func (w *window) click(words string) {
	w.t.Helper()
	xpath := fmt.Sprintf(`//*[self::a or self::button or self::label][contains(normalize-space(.), %q)]`, words)
	if err := settled(func() error {
		_, err := chromedp.RunResponse(w.ctx, chromedp.Click(chromedp.Search(xpath)))
		return err
	}); err != nil {
		w.t.Fatalf("click %q: %v", words, err)
	}
}

// send presses a button or link by its selector, and waits for the next page.
func (w *window) send(css string) {
	w.t.Helper()
	if err := settled(func() error {
		_, err := chromedp.RunResponse(w.ctx, chromedp.Click(chromedp.CSS(css)))
		return err
	}); err != nil {
		w.t.Fatalf("press %s: %v", css, err)
	}
}

// tick ticks what has these words beside it; no page follows.
func (w *window) tick(words string) {
	w.t.Helper()
	w.do(chromedp.Click(chromedp.Search(fmt.Sprintf(`//label[contains(normalize-space(.), %q)]`, words))))
}

func (w *window) text() string {
	w.t.Helper()
	return ask(w, chromedp.Text(chromedp.CSS("body")))
}

// signIn walks from the sign-in page through the issuer's page.
func (w *window) signIn(name string) {
	w.t.Helper()
	who := w.h.people[name]
	w.goTo("/")
	w.check("sign-in")
	w.do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`input[name=agency][value=%q]`, strings.ToLower(who.Agency)))))
	w.click("Continue")
	person := chromedp.CSS(fmt.Sprintf(`button[name=person][value=%q]`, name))
	w.do(chromedp.WaitVisible(person), chromedp.Click(person), chromedp.WaitVisible(chromedp.CSS(`.k-header__who`)))
}

type axeResult struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// check runs axe on the page that is shown, and looks that nothing stands out
// of it sideways.
func (w *window) check(name string) {
	w.t.Helper()
	ask(w, chromedp.Evaluate[string](w.axe+`; "there"`))
	raw := ask(w, chromedp.Evaluate[string](`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => JSON.stringify(r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 4).map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))}))))`, chromedp.EvalAwaitPromise))
	var found []axeResult
	if err := json.Unmarshal([]byte(raw), &found); err != nil {
		w.t.Fatal(err)
	}
	for _, v := range found {
		for _, n := range v.Nodes {
			w.t.Errorf("%s: axe: %s (%s): %s\n%s", name, v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
	w.fits(name)
}

// fits looks that nothing stands out of the page sideways, and takes its picture.
func (w *window) fits(name string) {
	w.t.Helper()
	if ask(w, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > document.documentElement.clientWidth`)) {
		w.t.Errorf("%s: the page is wider than the window", name)
	}
	w.weigh(name)
	w.picture(name)
}

// pageMost is how many bytes a page may transfer beside the cached assets.
const pageMost = 150_000

// weigh holds the page to its limit, as the browser counted it, and tells how
// long it took: a person reads the times, no test judges them.
func (w *window) weigh(name string) {
	w.t.Helper()
	raw := ask(w, chromedp.Evaluate[string](`(() => {
		const page = performance.getEntriesByType("navigation")[0];
		const more = performance.getEntriesByType("resource").filter(r => !new URL(r.name).pathname.startsWith("/assets/"));
		return JSON.stringify({Bytes: more.reduce((sum, r) => sum + r.transferSize, page.transferSize), Answer: page.responseEnd - page.requestStart});
	})()`))
	var found struct {
		Bytes  int
		Answer float64 // ms from the request to its last byte
	}
	if err := json.Unmarshal([]byte(raw), &found); err != nil {
		w.t.Fatal(err)
	}
	if found.Bytes > pageMost {
		w.t.Errorf("%s: %d bytes were transferred beside the assets, of %d", name, found.Bytes, pageMost)
	}
	if os.Getenv("KITH_SCREENSHOTS") != "" {
		w.t.Logf("%s: %.1f kB, answered in %.0f ms", name, float64(found.Bytes)/1000, found.Answer)
	}
}

// narrow looks at the page at a phone's width and at 320 px, then goes back.
func (w *window) narrow(name string) {
	w.t.Helper()
	w.do(chromedp.EmulateViewport(390, 800))
	w.check(name + "-390")
	w.do(chromedp.EmulateViewport(320, 800))
	w.fits(name + "-320")
	w.do(chromedp.EmulateViewport(1280, 900))
}

// picture keeps a picture of the page where KITH_SCREENSHOTS names a folder.
func (w *window) picture(name string) {
	w.t.Helper()
	dir := os.Getenv("KITH_SCREENSHOTS")
	if dir == "" {
		return
	}
	if dir == "1" {
		dir = filepath.Join("..", "..", "bin", "screenshots")
	}
	png := ask(w, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// pdf prints the page that is shown.
func (w *window) pdf() []byte {
	w.t.Helper()
	return ask(w, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4)))
}
