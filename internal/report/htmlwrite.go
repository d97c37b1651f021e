package report

import (
	"fmt"
	"strings"
)

// htmlWriter writes the page. It stands in for html/template, which finds
// methods by name at run time: with it the linker keeps every exported method
// of every type in the program, a third of hoplab's binary. The page has two
// contexts only, text and quoted attributes, and one escape serves both.
type htmlWriter struct{ strings.Builder }

// markup is HTML that goes into the page as it is.
type markup string

// put writes a format whose %s take strings, escaped, and markup, and whose
// %d take numbers.
func (w *htmlWriter) put(format string, args ...any) {
	safe := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case markup, int:
			safe[i] = a
		default:
			safe[i] = htmlEscaper.Replace(fmt.Sprint(a))
		}
	}
	fmt.Fprintf(w, format, safe...)
}

// putAll writes the format for each text.
func (w *htmlWriter) putAll(format string, texts []string) {
	for _, text := range texts {
		w.put(format, text)
	}
}

// htmlEscaper makes a text safe between tags and in quoted attributes.
var htmlEscaper = strings.NewReplacer("\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;", "<", "&lt;", ">", "&gt;")

const pageHead = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>%s</title>
<style>
%s</style>
</head>
<body>
<main>
`

// page writes all sections, in their order.
func (w *htmlWriter) page(p *htmlPage) {
	w.put(pageHead, p.Title, p.Style)
	w.answer(p)
	w.put("\n")
	for i := range p.Figures {
		w.put("\n")
		w.figure(&p.Figures[i])
	}
	w.put("\n<section id=\"numbers\">\n<h2>Numbers</h2>\n")
	for _, t := range p.Numbers {
		w.scroll(t)
	}
	w.notes(p.Notes, false)
	w.put("\n</section>\n\n")
	w.method(p)
	w.put("<section id=\"limits\">\n<h2>What this does not show</h2>\n<ul class=\"limits\">")
	w.putAll("<li>%s</li>", p.NotShown)
	w.put("</ul>\n</section>\n")
	w.put("<footer>Made by hoplab from the recorded samples and evidence of run %s. The page loads nothing.</footer>\n", p.Run)
	w.put("</main>\n</body>\n</html>\n")
}

func (w *htmlWriter) answer(p *htmlPage) {
	w.put("<section id=\"answer\" aria-label=\"Answer\">\n<div class=\"kicker\"><strong>hoplab</strong>")
	w.putAll("<span>%s</span>", p.Kicker)
	w.put("</div>\n")
	for i, s := range p.Answer {
		if i == 0 {
			w.put("<h1>")
			w.sentence(s)
			w.put("</h1>\n")
			continue
		}
		w.put(`<p class="also">`)
		w.sentence(s)
		w.put("</p>\n")
	}
	w.put("<p class=\"not-what\">%s</p>\n", p.NotWhat)
	w.put(`<div class="verdict verdict-%s"><span class="sign" aria-hidden="true">%s</span>`, p.VerdictClass, p.VerdictSign)
	w.put("<span>Verdict: %s</span></div>\n", p.Verdict)
	if p.Partial != "" {
		w.put(`<p class="warning">%s`, p.Partial)
		if p.Resume != "" {
			w.put(" Finish it with <code>%s</code>", p.Resume)
		}
		w.put("</p>\n")
	}
	w.putAll("<p class=\"warning\">Warning: %s</p>\n", p.Warnings)
	if len(p.Contradictions) > 0 {
		w.put("<h3>What contradicts the plan</h3>\n<ul class=\"limits\">")
		w.putAll("<li>%s</li>", p.Contradictions)
		w.put("</ul>\n")
	}
	if len(p.AnswerTables) > 0 {
		w.put(`<div class="answer-tables">`)
		for _, t := range p.AnswerTables {
			w.table(t)
		}
		w.put("</div>\n")
	}
	w.putAll("<p class=\"not-what\">%s</p>\n", p.Basis)
	w.notes(p.Notes, true)
	w.put("\n")
	if p.Budgets != nil {
		w.scroll(p.Budgets)
	}
	w.put("</section>")
}

func (w *htmlWriter) figure(f *htmlFigure) {
	w.put("<section id=\"%s\">\n<h2>%s</h2>\n", f.ID, f.Heading)
	if f.Absent != "" {
		w.put("<p class=\"absent\">%s</p>\n</section>\n", f.Absent)
		return
	}
	w.put("<figure>\n")
	for _, picture := range f.Pictures {
		w.put("%s", picture)
	}
	w.put("<figcaption>%s</figcaption>\n", f.Caption)
	if f.Table != nil {
		w.put("<details><summary>The numbers of this picture</summary>\n")
		w.scroll(f.Table)
		w.put("</details>\n")
	}
	w.put("</figure>\n</section>\n")
}

func (w *htmlWriter) method(p *htmlPage) {
	w.put("<section id=\"method\">\n<h2>How it was measured</h2>\n")
	if p.Method != "" {
		w.put("<p>%s</p>\n", p.Method)
	}
	w.put(`<p><a href="https://github.com/hoplab/hoplab/blob/main/docs/report.md">How to read this report</a></p>` + "\n")
	w.put(`<dl class="facts">`)
	for _, f := range p.Facts {
		w.put("<dt>%s</dt><dd>%s</dd>\n", f.Key, f.Value)
	}
	w.put("</dl>\n")
	if p.Repeat != "" {
		w.put("<p>Repeat it:</p>\n<pre><code>%s</code></pre>\n", p.Repeat)
	}
	if p.Render != "" {
		w.put("<p>Render it again, byte for byte:</p>\n<pre><code>%s</code></pre>\n", p.Render)
	}
	w.put("</section>\n\n")
}

func (w *htmlWriter) sentence(s sentence) {
	for _, part := range s.Phrases {
		if part.Code {
			w.put("<code>%s</code>", part.Text)
		} else {
			w.put("%s", part.Text)
		}
	}
	w.marks(s.Marks)
}

// marks writes the numbers of the warnings that weaken what stands before.
func (w *htmlWriter) marks(marks []int) {
	for _, n := range marks {
		w.put(`<sup class="mark"><a href="#warning-%d" aria-label="warning %d">%d</a></sup>`, n, n, n)
	}
}

// notes lists the numbered warnings; the first list holds what marks link to.
func (w *htmlWriter) notes(notes []note, first bool) {
	if len(notes) == 0 {
		return
	}
	w.put(`<ol class="notes">`)
	for _, n := range notes {
		w.put("<li")
		if first {
			w.put(` id="warning-%d"`, n.Number)
		}
		w.put("><span>%d</span><span>%s</span></li>\n", n.Number, n.Words())
	}
	w.put("</ol>")
}

// scroll writes a table that scrolls by itself where it is wider than the page.
func (w *htmlWriter) scroll(t *htmlTable) {
	w.put(`<p class="caption">%s`, t.Caption)
	w.marks(t.Marks)
	w.put("</p>\n<div class=\"scroll")
	if t.Sticky {
		w.put(" sticky")
	}
	w.put(`" role="region" aria-label="%s" tabindex="0"><table aria-label="%s">`, t.Caption, t.Caption)
	w.rows(t)
	w.put("</table></div>\n")
}

func (w *htmlWriter) table(t *htmlTable) {
	w.put("<table><caption>%s", t.Caption)
	w.marks(t.Marks)
	w.put("</caption>\n")
	w.rows(t)
	w.put("</table>")
}

func (w *htmlWriter) rows(t *htmlTable) {
	w.put("<thead><tr>")
	for _, c := range t.Head {
		class := markup("")
		if c.Number {
			class = ` class="number"`
		}
		w.cell("th", `scope="col"`+class, c)
	}
	w.put("</tr></thead>\n<tbody>\n")
	for _, r := range t.Rows {
		if r.Strong {
			w.put(`<tr class="strong">`)
		} else {
			w.put("<tr>")
		}
		for i, c := range r.Cells {
			switch {
			case i == 0:
				w.cell("th", `scope="row"`, c)
			case c.Number:
				w.cell("td", `class="number"`, c)
			default:
				w.cell("td", `class="words"`, c)
			}
		}
		w.put("</tr>\n")
	}
	w.put("</tbody>")
}

func (w *htmlWriter) cell(tag, attributes markup, c htmlCell) {
	w.put("<%s %s>%s", tag, attributes, c.Text)
	w.marks(c.Marks)
	w.put("</%s>", tag)
}
