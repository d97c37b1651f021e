package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
)

// eachCommand calls f with every command that a user can call.
func eachCommand(t *testing.T, f func(t *testing.T, cmd *cobra.Command)) {
	t.Helper()
	seen := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if !sub.Hidden {
				seen++
				t.Run(sub.CommandPath(), func(t *testing.T) { f(t, sub) })
				walk(sub)
			}
		}
	}
	walk(newRoot(streams{strings.NewReader(""), io.Discard, io.Discard}))
	if seen < 25 {
		t.Fatalf("found %d commands only", seen)
	}
}

// TestFormatsAreClosed: a --format that there is none of is refused before
// anything is read or asked, not taken for text.
func TestFormatsAreClosed(t *testing.T) {
	formats := 0
	eachCommand(t, func(t *testing.T, cmd *cobra.Command) {
		if cmd.Flags().Lookup("format") == nil {
			return
		}
		formats++
		if err := cmd.Flags().Set("format", "nonsense"); err != nil {
			t.Fatal(err)
		}
		err := cmd.RunE(cmd, []string{"nothing-of-that-name"})
		if fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), `--format "nonsense"`) {
			t.Errorf("got %v", err)
		}
	})
	if formats < 12 {
		t.Errorf("%d commands have formats; expected 12 or more", formats)
	}
}

// TestHelpFitsATerminal: no line of a description is wider than 80 columns,
// which a terminal would break in the middle of a word.
func TestHelpFitsATerminal(t *testing.T) {
	eachCommand(t, func(t *testing.T, cmd *cobra.Command) {
		for line := range strings.SplitSeq(cmd.Long, "\n") {
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	})
}

var (
	fence  = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	inline = regexp.MustCompile("`[^`]+`")
	// quoted finds a command in code, up to what ends it in a shell.
	quoted = regexp.MustCompile(`(?m)(?:^[\s$]*|\(|- run: )(?:\./)?hoplab ((?:[^|&;>#)\n]|\\\n)+)`)
	// argument is one in quotes: what stands in it is not hoplab's.
	argument = regexp.MustCompile(`'[^']*'`)
	word     = regexp.MustCompile("^[a-z][a-z0-9-]*")
)

// codeOf returns the code of a document in Markdown, blocks and spans, a span a
// line.
func codeOf(markdown string) string {
	var code strings.Builder
	prose := fence.ReplaceAllStringFunc(markdown, func(block string) string {
		code.WriteString(fence.FindStringSubmatch(block)[1])
		return ""
	})
	for _, span := range inline.FindAllString(prose, -1) {
		code.WriteString(strings.ReplaceAll(strings.Trim(span, "`"), "\n", " ") + "\n")
	}
	return code.String()
}

// TestQuotedCommandsExist: every command and flag that a help text or a document
// names is there.
func TestQuotedCommandsExist(t *testing.T) {
	sources := map[string]string{}
	eachCommand(t, func(_ *testing.T, cmd *cobra.Command) { sources[cmd.CommandPath()+" --help"] = cmd.Example })
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources[strings.TrimPrefix(file, "../../")] = codeOf(string(text))
		}
	}
	commands := 0
	for source, text := range sources {
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			commands++
			if wrong := notThere(strings.Fields(argument.ReplaceAllString(m[1], "ARGUMENT"))); wrong != "" {
				t.Errorf("%s: hoplab %s: there is no %s", source, strings.TrimSpace(m[1]), wrong)
			}
		}
	}
	if commands < 200 {
		t.Errorf("found %d quoted commands; expected 200 or more", commands)
	}
	for _, wrong := range []string{"chekc cdk.out", "lab upp", "run --armz a=b", "check cdk.out --foramt=json"} {
		if notThere(strings.Fields(wrong)) == "" {
			t.Errorf("hoplab %s is taken for a command that is there", wrong)
		}
	}
}

// notThere is the first command or flag of words that hoplab does not have. What
// stands behind "--" belongs to another program.
func notThere(words []string) string {
	cmd := newRoot(streams{strings.NewReader(""), io.Discard, io.Discard})
	for i, w := range words {
		name, isFlag := strings.CutPrefix(w, "--")
		switch {
		case w == "--":
			return ""
		case isFlag:
			name = word.FindString(name)
			if name != "help" && cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
				return w
			}
		case cmd.HasSubCommands() && word.MatchString(w):
			next, _, err := cmd.Find(words[i : i+1])
			if err != nil || next == cmd {
				return w
			}
			cmd = next
		}
	}
	return ""
}
