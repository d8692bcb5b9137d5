package render

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/nscope/nscope/topo"
)

// browser is a page in a headless Chromium. Whatever the page complains of, or asks the network for, fails the test.
type browser struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	bad []string
}

func openPage(t *testing.T, g *topo.Graph) *browser {
	t.Helper()
	bin := needs(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	file := filepath.Join(t.TempDir(), "topology.html")
	if err := os.WriteFile(file, []byte(htmlOf(t, g)), 0o644); err != nil {
		t.Fatal(err)
	}
	// Chromium leaves folders behind in the one for temporary files, and still writes when it is told to end: this one is
	// removed until nothing is left of it.
	tmp, err := os.MkdirTemp("", "nscope-chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, tmp) })
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1400, 900),
		chromedp.UserDataDir(filepath.Join(tmp, "profile")), chromedp.Env("TMPDIR="+tmp), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("force-prefers-reduced-motion", true))
	ctx, cancelAll := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancelTab := chromedp.NewContext(ctx)
	b := &browser{t: t, ctx: ctx}
	t.Cleanup(func() { cancelTab(); cancelAll() })
	if err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.note("exception: " + fmt.Sprint(*ev.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			b.note(fmt.Sprintf("console: %s", ev.Type))
		case *cdppage.EventJavascriptDialogOpening:
			b.note("dialog: " + ev.Message)
		case *network.EventRequestWillBeSent:
			if ev.Request.URL != "file://"+file {
				b.note("asks for " + ev.Request.URL)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, runtime.Enable, cdp.Empty{})
	b.do(chromedp.Navigate((&url.URL{Scheme: "file", Path: file}).String()), chromedp.WaitReady(`html[data-ready="1"]`))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, s := range b.bad {
			t.Error(s)
		}
	})
	return b
}

// removeAll removes a folder into which a program that is ending may still write.
func removeAll(t *testing.T, dir string) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := os.RemoveAll(dir)
		if _, stat := os.Stat(dir); err == nil && os.IsNotExist(stat) {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s is left: %v", dir, err)
			return
		}
	}
}

func (b *browser) note(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, s)
}

// limit bounds one step. The browser itself lives as long as the context of the first one, which must not end.
func (b *browser) limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, 20*time.Second)
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.limit()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// call sends a command of the browser's protocol.
func call[P, R any](b *browser, cmd cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := b.limit()
	defer cancel()
	if _, err := chromedp.Call(ctx, cmd, params); err != nil {
		b.t.Fatal(err)
	}
}

// eval runs an expression and decodes what it gives.
func eval[T any](b *browser, js string) T {
	b.t.Helper()
	ctx, cancel := b.limit()
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// expect waits until an expression is true.
func (b *browser) expect(js string) {
	b.t.Helper()
	ctx, cancel := b.limit()
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("("+js+")", chromedp.WithPollingInterval(20*time.Millisecond))); err != nil {
		b.t.Fatalf("never true: %s: %v", js, err)
	}
}

// at is the middle of an element on the screen.
func (b *browser) at(selector string) (x, y float64) {
	b.t.Helper()
	q, _ := json.Marshal(selector)
	p := eval[[]float64](b, fmt.Sprintf(`(() => { const r = document.querySelector(%s).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, q))
	return p[0], p[1]
}

func (b *browser) click(selector string) {
	b.t.Helper()
	x, y := b.at(selector)
	b.do(chromedp.MouseClickXY(x, y))
}

// search types into the empty search box.
func (b *browser) search(what string) {
	b.t.Helper()
	eval[string](b, `document.getElementById("search").value = ""`)
	b.do(chromedp.SendKeys("#search", what))
}

type matrix struct{ X, Y, K float64 }

func (b *browser) view() matrix {
	b.t.Helper()
	return eval[matrix](b, `(() => { const m = document.querySelector(".scene").transform.baseVal.consolidate().matrix; return {X: m.e, Y: m.f, K: m.a}; })()`)
}

func nodeNamed(t *testing.T, g *topo.Graph, kind topo.Kind, name string) *topo.Node {
	t.Helper()
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == kind && n.Name == name {
			return n
		}
	}
	t.Fatalf("no %s %q", kind, name)
	return nil
}

func boxOf(n *topo.Node) string { return fmt.Sprintf(`.scene [data-id=%q]`, n.ID) }

func TestBrowser(t *testing.T) {
	g := swarm()
	g.Gaps = []topo.Gap{{Host: "node1"}}
	b := openPage(t, g)
	cache, web := nodeNamed(t, g, topo.KindContainer, "cache"), nodeNamed(t, g, topo.KindContainer, "web.3.tne9rtydv85ls2cj4zx6apbhc")

	t.Run("click", func(t *testing.T) {
		b.t = t
		b.click(boxOf(cache))
		b.expect(`!document.getElementById("panel").hidden && document.querySelector("#detail h2").textContent === "cache"`)
		for _, want := range []string{"docker", "bb:1", cache.ID, "runs in"} {
			if got := eval[string](b, `document.getElementById("detail").textContent`); !strings.Contains(got, want) {
				t.Errorf("details do not say %q: %s", want, got)
			}
		}
		// Its wires are lit: eth0 to a port of the overlay, eth2 to one of docker_gwbridge, and those to their bridges.
		if n := eval[int](b, `document.querySelectorAll(".wire.on").length`); n < 5 {
			t.Errorf("%d wires lit", n)
		}
		// Through a wire to its namespace, and on to a link in it.
		b.click(`#detail button[data-go]`)
		b.expect(`document.querySelector("#detail .what").textContent.startsWith("netns")`)
		eval[string](b, `[...document.querySelectorAll("#detail button[data-go]")].find(e => e.textContent === "eth0").id = "pick"`)
		b.click(`#pick`)
		b.expect(`document.querySelector("#detail h2").textContent === "eth0" && document.getElementById("detail").textContent.includes("10.0.1.9/24")`)
		if !strings.Contains(eval[string](b, `location.hash`), "link%3A") {
			t.Error("the address does not lead there")
		}
		b.click(`#close`)
		b.expect(`document.getElementById("panel").hidden && !document.querySelector(".on")`)
	})

	t.Run("no overlap", func(t *testing.T) {
		b.t = t
		b.click(boxOf(cache))
		b.expect(`!document.getElementById("panel").hidden`)
		if got := eval[string](b, `(() => {
			const r = ["header", "#stage", "#panel", "footer"].map(s => [s, document.querySelector(s).getBoundingClientRect()]);
			for (const [s, a] of r) for (const [u, c] of r)
				if (s < u && a.left < c.right - 1 && c.left < a.right - 1 && a.top < c.bottom - 1 && c.top < a.bottom - 1) return s + " and " + u;
			return ""; })()`); got != "" {
			t.Errorf("%s overlap", got)
		}
		b.do(chromedp.KeyEvent(kb.Escape))
		b.expect(`document.getElementById("panel").hidden`)
	})

	t.Run("search", func(t *testing.T) {
		b.t = t
		b.do(chromedp.KeyEvent("/"))
		b.expect(`document.activeElement.id === "search"`)
		// A simulated key types its character whatever the page does with the key.
		b.search("10.0.1.6")
		b.expect(`!document.getElementById("results").hidden && document.querySelectorAll("#results [role=option]").length >= 1`)
		b.expect(`document.getElementById("stage").classList.contains("searching") && document.querySelectorAll(".box.match").length >= 1`)
		b.do(chromedp.KeyEvent(kb.Enter))
		b.expect(`document.getElementById("results").hidden && document.querySelector("#detail h2").textContent === "eth0"`)

		b.search("web.3")
		b.expect(`document.querySelectorAll("#results [role=option]").length >= 1`)
		b.click(`#results [role=option]`)
		b.expect(`document.querySelector("#detail h2").textContent.startsWith("web.3")`)
		// It is in the middle of what is seen.
		x, y := b.at(boxOf(web))
		mid := eval[[]float64](b, `(() => { const r = document.getElementById("stage").getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
		if math.Hypot(x-mid[0], y-mid[1]) > 40 {
			t.Errorf("found at %.0f,%.0f; the middle is %.0f,%.0f", x, y, mid[0], mid[1])
		}
		b.search("nothing like it")
		b.expect(`document.querySelector("#results .none").textContent === "nothing found"`)
		b.do(chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent(kb.Escape))
		b.expect(`document.getElementById("panel").hidden && !document.getElementById("stage").classList.contains("searching")`)
	})

	t.Run("zoom and pan", func(t *testing.T) {
		b.t = t
		b.click(`#fit`)
		v0 := b.view()
		b.click(`#in`)
		if v := b.view(); math.Abs(v.K/v0.K-1.25) > 0.01 {
			t.Errorf("button: from %v to %v", v0, v)
		}
		b.do(chromedp.KeyEvent("0"))
		// A delta of zero would be left out, which the browser refuses.
		call(b, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: 400, Y: 300, DeltaX: 0.001, DeltaY: -300})
		b.expect(fmt.Sprintf(`document.querySelector(".scene").transform.baseVal.consolidate().matrix.a > %f`, v0.K*1.2))
		v1 := b.view()
		// What was below the pointer stays there.
		top := eval[float64](b, `document.getElementById("stage").getBoundingClientRect().top`)
		if a, c := (400-v0.X)/v0.K, (400-v1.X)/v1.K; math.Abs(a-c) > 1 {
			t.Errorf("wheel: x %f became %f", a, c)
		}
		if a, c := (300-top-v0.Y)/v0.K, (300-top-v1.Y)/v1.K; math.Abs(a-c) > 1 {
			t.Errorf("wheel: y %f became %f", a, c)
		}
		b.do(chromedp.DragAndDropXY(300, 400, 420, 460))
		v2 := b.view()
		if math.Abs(v2.X-v1.X-120) > 1 || math.Abs(v2.Y-v1.Y-60) > 1 || v2.K != v1.K {
			t.Errorf("drag: from %v to %v", v1, v2)
		}
		if !eval[bool](b, `document.getElementById("panel").hidden`) {
			t.Error("a drag is no click")
		}
		b.do(chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent("-"))
		if v := b.view(); v.K >= v2.K {
			t.Errorf("keys: from %v to %v", v2, v)
		}
	})

	t.Run("keyboard", func(t *testing.T) {
		b.t = t
		b.do(chromedp.KeyEvent("0"), chromedp.Focus("#in"))
		for range 12 {
			b.do(chromedp.KeyEvent(kb.Tab))
			if eval[bool](b, `document.activeElement.classList.contains("box")`) {
				break
			}
		}
		name := eval[string](b, `document.activeElement.getAttribute("aria-label") || ""`)
		if name == "" {
			t.Fatal("Tab does not lead to a box")
		}
		b.do(chromedp.KeyEvent(kb.Enter))
		b.expect(`!document.getElementById("panel").hidden`)
		if got := eval[string](b, `document.querySelector("#detail h2").textContent`); !strings.HasSuffix(name, got) {
			t.Errorf("Enter on %q shows %q", name, got)
		}
	})

	t.Run("gaps", func(t *testing.T) {
		b.t = t
		b.click(`#gaps`)
		b.expect(`document.querySelector("#detail h2").textContent === "What could not be read"`)
	})

	t.Run("dark", func(t *testing.T) {
		b.t = t
		color := func(scheme string) string {
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			return eval[string](b, `getComputedStyle(document.querySelector(".panel")).fill + getComputedStyle(document.body).backgroundColor`)
		}
		if light, dark := color("light"), color("dark"); light == dark {
			t.Errorf("light and dark look the same: %s", light)
		}
	})
}

// With the fonts that a browser really uses, no label leaves its box and none covers another.
func TestBrowserLabels(t *testing.T) {
	for name, g := range map[string]*topo.Graph{"modes": modes(), "nested": nested(), "hostile": random(6, 120, true)} {
		t.Run(name, func(t *testing.T) {
			b := openPage(t, g)
			if got := eval[[]string](b, `(() => {
				const bad = [], all = [];
				for (const el of document.querySelectorAll(".scene text")) {
					if (!el.textContent) continue;
					const r = el.getBBox(), box = el.closest(".box");
					if (box) {
						const o = box.querySelector("rect").getBBox();
						if (r.x < o.x || r.x + r.width > o.x + o.width + .5) bad.push("leaves its box: " + el.textContent);
					}
					// Ascent and descent of a font are more than what is drawn of its letters.
					all.push([r.x, r.y + 2, r.x + r.width, r.y + r.height - 2, el.textContent]);
				}
				for (let i = 0; i < all.length; i++) for (let j = 0; j < i; j++) {
					const a = all[i], c = all[j];
					if (a[0] < c[2] && c[0] < a[2] && a[1] < c[3] && c[1] < a[3]) bad.push(a[4] + " covers " + c[4]);
				}
				return bad; })()`); len(got) > 0 {
				t.Errorf("%d labels, such as %q", len(got), got[0])
			}
		})
	}
}

// Names that would be scripts, elements or handlers are text, in the picture, in search results and in the details.
func TestBrowserHostile(t *testing.T) {
	g := random(4, 90, true)
	b := openPage(t, g)
	inert := func() {
		t.Helper()
		if eval[bool](b, `"hacked" in window`) {
			t.Fatal("a name ran as a script")
		}
		if n := eval[int](b, `document.querySelectorAll("img, iframe, object, body script:not(#data):not(:last-child), foreignObject, [onerror], [onload]").length`); n != 0 {
			t.Fatalf("names became %d elements", n)
		}
	}
	inert()
	b.search("script")
	b.expect(`document.querySelectorAll("#results [role=option]").length >= 1`)
	inert()
	b.do(chromedp.KeyEvent(kb.Enter))
	b.expect(`!document.getElementById("panel").hidden`)
	inert()
	// Each node's details, one after the other.
	if n := eval[int](b, `(() => { let n = 0; for (const el of document.querySelectorAll(".scene .box")) { el.dispatchEvent(new MouseEvent("click", {bubbles: true})); n++; } return n; })()`); n < 20 {
		t.Errorf("only %d boxes", n)
	}
	inert()
	if got := eval[bool](b, `/[\u0000-\u0008\u202e]/.test(document.body.innerText)`); got {
		t.Error("characters that cannot be seen are shown as they are")
	}
}
