package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// browse opens a file and returns the document afterwards and what the
// browser's console said.
func browse(t *testing.T, file string, args ...string) (dom, console string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all := append([]string{"--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--enable-logging=stderr", "--user-data-dir=" + t.TempDir(), "--dump-dom"}, args...)
	if os.Geteuid() == 0 {
		all = append(all, "--no-sandbox") // Chromium refuses to sandbox for root
	}
	cmd := exec.CommandContext(ctx, labtest.Browser(t), append(all, "file://"+file)...)
	cmd.WaitDelay = 5 * time.Second
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil {
		t.Fatalf("browser: %v\n%s", err, errors.String())
	}
	for _, line := range strings.Split(errors.String(), "\n") {
		if strings.Contains(line, "CONSOLE") {
			console += line + "\n"
		}
	}
	return out.String(), console
}

// A page as it stands: the frame is as wide as the screen would be, and the
// page is not changed; the script that measures stays outside.
const harness = `<!doctype html><meta charset="utf-8"><body>%s<pre id="found"></pre><script>
function texts(doc) {
  const found = [];
  for (const svg of doc.querySelectorAll('svg.picture')) {
    if (getComputedStyle(svg).display === 'none') continue;
    const frame = svg.getBoundingClientRect(), list = [];
    for (const t of svg.querySelectorAll('text')) {
      const r = t.getBoundingClientRect();
      if (r.width === 0) continue;
      const name = svg.querySelector('title').id + ': ' + t.textContent;
      if (r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1)
        found.push('outside its picture: ' + name);
      for (const o of list) {
        const w = Math.min(r.right, o.r.right) - Math.max(r.left, o.r.left), h = Math.min(r.bottom, o.r.bottom) - Math.max(r.top, o.r.top);
        if (w > 1 && h > 3.5) found.push('overlap: ' + name + ' / ' + o.name);
      }
      list.push({r, name});
    }
    if (list.length < 3) found.push('hardly any text: ' + svg.querySelector('title').id);
  }
  return found;
}
addEventListener('load', () => {
const found = {};
for (const f of document.querySelectorAll('iframe')) {
  const doc = f.contentDocument, root = doc.documentElement, list = texts(doc);
  if (root.clientWidth !== f.clientWidth) list.push('the page is ' + root.clientWidth + ' wide, the frame ' + f.clientWidth);
  if (root.scrollWidth > root.clientWidth) {
    list.push('overflows by ' + (root.scrollWidth - root.clientWidth));
    for (const e of doc.body.querySelectorAll('*'))
      if (e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.scroll, .answer-tables')) list.push('too far right: ' + e.tagName + ' ' + e.className);
  }
  for (const e of doc.querySelectorAll('h1, p, li, dd, figcaption, summary'))
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0) list.push('cut off: ' + e.textContent.slice(0, 60));
  found[f.title] = list;
}
document.getElementById('found').textContent = JSON.stringify(found);
});
</script>`

// Every page at every width: nothing runs out of the page or of its picture,
// no label covers another, and the browser has nothing to complain about.
func TestPagesInABrowser(t *testing.T) {
	layer.Full(t, "needs a browser")
	var frames strings.Builder
	want := 0
	for _, f := range fixtures() {
		doc := html.EscapeString(string(page(t, f.build())))
		widths := []int{390, 1280}
		if f.name == "four-arms" || f.name == "long-names" {
			widths = append(widths, 320, 640, 768)
		}
		for _, width := range widths {
			fmt.Fprintf(&frames, `<iframe title="%s at %d" width="%d" height="900" style="border:0" srcdoc="%s"></iframe>`, f.name, width, width, doc)
			want++
		}
	}
	file := filepath.Join(t.TempDir(), "pages.html")
	if err := os.WriteFile(file, fmt.Appendf(nil, harness, frames.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	dom, console := browse(t, file, "--hide-scrollbars")
	if console != "" {
		t.Errorf("the console says:\n%s", console)
	}
	m := regexp.MustCompile(`(?s)<pre id="found">(.*?)</pre>`).FindStringSubmatch(dom)
	var found map[string][]string
	if m == nil || json.Unmarshal([]byte(html.UnescapeString(m[1])), &found) != nil {
		t.Fatalf("the measuring script did not run: %.300s", dom)
	}
	if len(found) != want {
		t.Errorf("%d pages were measured, want %d", len(found), want)
	}
	for name, list := range found {
		for _, problem := range list {
			t.Errorf("%s: %s", name, problem)
		}
	}
}

// The page's own policy forbids what the page must not do: a script put into
// it does not run. This also shows that the console is listened to.
func TestThePageForbidsScripts(t *testing.T) {
	layer.Full(t, "needs a browser")
	doc := bytes.Replace(page(t, fixtureNamed("different")), []byte("</body>"),
		[]byte(`<script>document.title = "ran"</script><img src="https://hoplab.invalid/x.png"></body>`), 1)
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, doc, 0o644); err != nil {
		t.Fatal(err)
	}
	dom, console := browse(t, file)
	if strings.Contains(dom, "<title>ran</title>") {
		t.Error("the script ran")
	}
	if strings.Count(console, "Content Security Policy") < 2 {
		t.Errorf("the policy did not stop script and image; the console says: %q", console)
	}
}
