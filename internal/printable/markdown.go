package printable

import "regexp"

var markdownSpecial = regexp.MustCompile("[\\\\`*_{}\\[\\]<>|#~&@$]")

// Markdown escapes text so that GitHub's and GitLab's Markdown show it as it
// is: no link, no tag, nobody mentioned.
func Markdown(text string) string {
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
