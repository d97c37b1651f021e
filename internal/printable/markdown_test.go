package printable_test

import (
	"testing"

	"github.com/hoplab/hoplab/internal/printable"
)

// TestMarkdownMakesNoLink: forges look for names, numbers and addresses in the
// page that Markdown has become, so what is escaped for Markdown alone is a link
// there. What keeps them apart is what Renovate writes into its pull requests.
func TestMarkdownMakesNoLink(t *testing.T) {
	for text, want := range map[string]string{
		"@everyone":              "&#64;&#8203;everyone",
		"me@example.com":         "me&#64;&#8203;example.com",
		"owner/repo#12, GH-7":    `owner/repo\#&#8203;12, GH-&#8203;7`,
		"!3 $4 %5 &6 ~7":         `!&#8203;3 \$&#8203;4 %&#8203;5 &amp;&#8203;6 \~&#8203;7`,
		"https://evil.example/a": "https:&#8203;//evil.example/a",
		"WWW.evil.example":       "WWW&#8203;.evil.example",
		"<a href=x>":             "&lt;a href=x&gt;",
		"# title, C#, 95 %":      `\# title, C\#, 95 %`,
		"a:80, 1:1, Role/x":      "a:80, 1:1, Role/x",
	} {
		if got := printable.Markdown(text); got != want {
			t.Errorf("%q: %q; want %q", text, got, want)
		}
	}
}
