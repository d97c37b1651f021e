package printable

import "regexp"

var (
	markdownSpecial = regexp.MustCompile("[\\\\`*_{}\\[\\]<>|#~&@$]")
	// forgeLink is what a forge makes a link or a mention of in a page that is
	// rendered already, where an escape is no longer seen: a name after @, a
	// number after # or GH- (issue) and, in GitLab, !, $, %, & and ~, and the
	// bare address of a site.
	forgeLink = regexp.MustCompile(`@|(?:[#!$%&~]|GH-)\d|:/|(?i:www)\.`)
)

// noLink is a zero-width space, which keeps the two sides of it apart.
const noLink = "&#8203;"

// Markdown escapes text so that GitHub's and GitLab's Markdown show it as it
// is: no link, no tag, nobody mentioned, no issue referred to.
func Markdown(text string) string {
	out, from := "", 0
	for _, at := range forgeLink.FindAllStringIndex(text, -1) {
		cut := at[1] - 1 // before the digit, slash or dot
		if text[cut] == '@' {
			cut++
		}
		out, from = out+markdownEscape(text[from:cut])+noLink, cut
	}
	return out + markdownEscape(text[from:])
}

func markdownEscape(text string) string {
	return markdownSpecial.ReplaceAllStringFunc(text, func(c string) string {
		switch c {
		case "<":
			return "&lt;"
		case ">":
			return "&gt;"
		case "&":
			return "&amp;"
		case "@":
			return "&#64;"
		}
		return "\\" + c
	})
}
