package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"strings"
)

//go:embed bundle/page.js
var script string

//go:embed bundle/page.css
var style string

const head = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="`

// HTML writes the model as one file that loads nothing. The same model gives
// the same bytes.
func HTML(w io.Writer, m *Model) error {
	data, err := json.Marshal(m) // writes <, > and & as escapes: nothing ends the element early
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(head + html.EscapeString(Policy(m.Live)) + `">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>hoplab: ` + html.EscapeString(m.Title) + `</title>
<style>` + style + `</style>
</head>
<body>
<noscript><p>This page draws with the script in it: allow scripts for it, or use hoplab explain without --format html.</p></noscript>
<div id="page"></div>
<script type="application/json" id="model">`)
	b.Write(data)
	b.WriteString(`</script>
<script>` + script + `</script>
</body>
</html>
`)
	_, err = io.WriteString(w, b.String())
	return err
}

// Policy is the page's content security policy: its own script and style by
// their hashes, nothing else, and no text becomes markup. A live page may also
// ask the server that it came from.
func Policy(live bool) string {
	ask := ""
	if live {
		ask = "connect-src 'self'; "
	}
	return ask + "default-src 'none'; script-src '" + digest(script) + "'; style-src '" + digest(style) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
