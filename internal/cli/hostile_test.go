package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
)

// evil is what a name may hold to take over a terminal or a CI job: a title, a
// cleared screen, C1, turned text, a NUL, line breaks, and commands of runners.
const evil = "\x1b]0;x\a\x1b[2J\u009b31m\u202e\u200b\x00\r\n::error file=a::b ::stop-commands::x ##[error]y ##vso[task.x]z"

// command is a line that a CI job's runner obeys.
var command = regexp.MustCompile(`(?m)^\s*::[A-Za-z-]+(::|\s)|##[A-Za-z]*\[`)

// mustBePlain fails when text can do more than be read. evil must be seen in it.
func mustBePlain(t *testing.T, what, text string) {
	t.Helper()
	for i, r := range text {
		if r != '\n' && !unicode.IsGraphic(r) {
			t.Errorf("%s: %U in %q", what, r, text[max(0, i-60):min(len(text), i+20)])
			return
		}
	}
	if at := command.FindStringIndex(text); at != nil {
		t.Errorf("%s: a command in %q", what, text[max(0, at[0]-60):min(len(text), at[1]+20)])
	}
	if !strings.Contains(text, `\u001b`) {
		t.Errorf("%s does not show the name at all:\n%s", what, text)
	}
}

// hostileNames are the properties of a template that are somebody's free words.
var hostileNames = map[string]bool{"ServiceName": true, "Family": true, "ClusterName": true, "DiscoveryName": true, "PortName": true,
	"Namespace": true, "aws:cdk:path": true, "GroupDescription": true, "Description": true, "GroupName": true, "Name": true, "Matcher": true,
	"DnsName": true, "Path": true, "Value": true, "ContainerName": true}

// poison adds evil to every name in a template, the same to equal ones.
func poison(v any, named bool) any {
	switch v := v.(type) {
	case string:
		if named {
			return v + evil
		}
	case map[string]any:
		for k, e := range v {
			v[k] = poison(e, hostileNames[k])
		}
	case []any:
		for i, e := range v {
			v[i] = poison(e, false)
		}
	}
	return v
}

// hostileTemplate writes the article's template with hostile names in it, and in
// its file's.
func hostileTemplate(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../source/cfn/deployment/testdata/article/" + name + ".template.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if data, err = json.MarshalIndent(poison(doc, false), "", " "); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), strings.NewReplacer("\x00", "", "/", "").Replace(evil)+".json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHostileNames: every text that a command makes of a hostile template can
// only be read, and every document is one in which nothing is hidden.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{"override-closed", "override-open", "default"} {
		path := hostileTemplate(t, name)
		for _, args := range [][]string{{"check", "--all"}, {"explain", "--all"}, {"explain", "--format", "mermaid"}, {"diagnose"},
			{"check", "--format", "json"}, {"check", "--format", "sarif"}, {"explain", "--format", "json"}, {"diagnose", "--format", "json"}} {
			var out, errOut bytes.Buffer
			code := Main(append(args, path), strings.NewReader(""), &out, &errOut)
			what := name + ": " + strings.Join(args, " ")
			if out.Len() == 0 || errOut.Len() > 0 {
				t.Errorf("%s: code %d, %d bytes, error %q", what, code, out.Len(), errOut.String())
				continue
			}
			if strings.Contains(what, "json") || strings.Contains(what, "sarif") {
				if !json.Valid(out.Bytes()) {
					t.Errorf("%s: no JSON", what)
				}
				if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
					t.Errorf("%s: %q", what, out.String()[max(0, i-60):i+20])
				}
				continue
			}
			mustBePlain(t, what, out.String())
		}
	}
}

// TestNoPlaceholders: what a reader puts into values to remember where they are
// from does not come out in a document. A harmless template has none of it.
func TestNoPlaceholders(t *testing.T) {
	for _, path := range []string{"../source/cfn/deployment/testdata/article/override-closed.template.json",
		"../source/terraform/testdata/unknowns", "../source/terraform/testdata/references", "../source/terraform/testdata/modules"} {
		for _, args := range [][]string{{"check", "--format", "json"}, {"check", "--format", "sarif"}, {"explain", "--format", "json"}} {
			var out, errOut bytes.Buffer
			Main(append(args, path), strings.NewReader(""), &out, &errOut)
			if !json.Valid(out.Bytes()) {
				t.Fatalf("%v %s: %s", args, path, errOut.String())
			}
			if hidden := regexp.MustCompile(`\\u(00[01][0-9a-f]|fd[de][0-9a-f])`).FindString(out.String()); hidden != "" {
				t.Errorf("%v %s: %s", args, path, hidden)
			}
		}
	}
}

// TestHostileErrors: so can every error, whoever's words it quotes.
func TestHostileErrors(t *testing.T) {
	bad := func(text string) string {
		path := filepath.Join(t.TempDir(), "t.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	quoted, _ := json.Marshal(evil)
	named := func(template string) string { return bad(strings.ReplaceAll(template, "NAME", string(quoted))) }
	for _, args := range [][]string{
		{"check", evil}, {"explain", "no" + evil}, {evil}, {"check", "--" + evil}, {"check", "--format", evil}, {"check", "--param", evil},
		{"report", evil}, {"compare", evil, evil}, {"run", "--resume", evil}, {"lab", "status", "--name", evil}, {"plan", "--budget", evil},
		{"check", named(`{"Resources":{"A":{"Type":NAME,"Properties":{"Fn::Sub":{NAME:1}}}},NAME}`)},
		{"check", named(`{"Resources":{NAME:{"Type":"AWS::ECS::Service","Properties":{"Cluster":{"Ref":NAME}}}}}`)},
		{"check", bad("Resources:\n  A: !" + "\u202e\u009b" + ` "x`)},
	} {
		var out, errOut bytes.Buffer
		Main(args, strings.NewReader(""), &out, &errOut)
		text := out.String() + errOut.String()
		if text == "" {
			t.Errorf("%q: says nothing", args)
		}
		mustBePlain(t, strings.Join(args[:1], " ")+" error", text+`\u001b`) // an error need not quote it
	}
	var w bytes.Buffer
	printError(&w, nil, fail.Newf(fail.Usage, "try"+evil, "one%s: %w", evil, errors.Join(errors.New(evil), io.EOF)))
	mustBePlain(t, "printError", w.String())
	if n := strings.Count(w.String(), "\n"); n != 2 {
		t.Errorf("an error and its hint are %d lines: %q", n, w.String())
	}
}

// fill sets every string below v to evil, and gives every list and map one element.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("name" + evil)
	case reflect.Pointer:
		if depth < 8 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		if depth < 8 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth+1)
		}
	case reflect.Map:
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(k, depth+1)
		fill(e, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(k, e)
	}
}

// TestHostileLab: what a lab's server answers is shown in the same way.
func TestHostileLab(t *testing.T) {
	var st lab.Status
	fill(reflect.ValueOf(&st).Elem(), 0)
	var o call.Observation
	fill(reflect.ValueOf(&o).Elem(), 0)
	o.Status, o.Body = 200, ""
	var out, errOut bytes.Buffer
	s := streams{out: &out, err: &errOut}
	printLab(s, &st)
	printObservation(s, o, true)
	say(s, "%s is %v", evil, []string{evil})
	mustBePlain(t, "lab", out.String())
	mustBePlain(t, "lab's errors", errOut.String())
	out.Reset()
	hidden := func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }
	if err := writeJSON(s, &st); err != nil || strings.ContainsFunc(out.String(), hidden) {
		t.Errorf("JSON of a lab (%v): %q", err, out.String())
	}
}
