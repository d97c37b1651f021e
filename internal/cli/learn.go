package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/learn"
	"github.com/hoplab/hoplab/internal/page/lessons"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
)

// learnFlags say which lesson is taken, and how.
type learnFlags struct {
	lab    labFlags // of which only the fabric and the agents are asked for
	choice int
	format string
	onPage bool
	port   int
}

func newLearn(s streams) *cobra.Command {
	var f learnFlags
	cmd := &cobra.Command{
		Annotations: map[string]string{cleansUp: "yes"},
		Use:         "learn [LESSON]",
		Short:       "A lesson on Service Connect's ports: predict, run, see",
		Long: `Take a lesson: a short story, a question, then the deployment runs in the lab
and shows what happens, hop by hop, and why. On a terminal the lesson asks for
your prediction first; in a pipe it runs without questions. Without LESSON the
command lists the lessons. --page serves them as a page on a loopback address:
say on the map where the request will stop, then see. With --agent envoy the
agents are real Envoys, whose clock is the real one: most lessons take a minute
or two then.

The exit code is 4 when the run did not show what is documented.`,
		Example: `  hoplab learn                          # the list
  hoplab learn three-ports              # the first lesson
  hoplab learn --page                   # all of them in a browser
  hoplab learn forgotten-rule --answer 3
  hoplab learn slow-app --agent envoy   # in real time: two minutes`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd, args); err != nil {
				return err
			}
			switch {
			case f.onPage:
				return f.page(cmd, s)
			case len(args) == 0:
				return listLessons(s, f.format)
			}
			return f.take(cmd, s, args[0])
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&f.choice, "answer", 0, "your prediction, without being asked")
	fl.StringVar(&f.lab.fabric, "fabric", "loopback", "the network under the lab: loopback or netns")
	fl.StringVar(&f.lab.agent, "agent", lab.AgentLab, "what runs as the agents: lab (its own) or envoy (a real one, in real time)")
	registerEnvoy(cmd, &f.lab.envoy)
	fl.BoolVar(&f.onPage, "page", false, "serve the lessons, and the situations, as a page in a browser until Ctrl-C")
	fl.IntVar(&f.port, "port", 0, "the port of --page; 0 for any that is free")
	fl.StringVar(&f.format, "format", "text", "text or json")
	return cmd
}

// check refuses flags and arguments that do not go together.
func (f *learnFlags) check(cmd *cobra.Command, args []string) error {
	set := cmd.Flags().Changed
	if err := oneOf("format", f.format, "text", "json"); err != nil {
		return err
	}
	if set("port") && !f.onPage || f.onPage && (len(args) > 0 || set("answer") || f.format != "text") {
		return fail.Newf(fail.Usage, "lessons and answers are chosen on the page", "--page serves all lessons; expected no more than --port beside it")
	}
	if len(args) == 0 && set("answer") {
		return fail.Newf(fail.Usage, "name a lesson", "--answer needs a lesson")
	}
	if err := oneOf("fabric", f.lab.fabric, plan.FabricLoopback, plan.FabricNetns); err != nil {
		return err
	}
	return errors.Join(f.lab.checkAgent(), checkPort(f.port))
}

// take runs one lesson, and answers with Refused when it did not show what is
// documented.
func (f *learnFlags) take(cmd *cobra.Command, s streams, id string) error {
	l, err := lesson(id)
	if err != nil {
		return err
	}
	if elsewhere, err := runElsewhere(f.lab.fabric); elsewhere {
		return err
	}
	ask, err := asker(s, &l, f.choice, cmd.Flags().Changed("answer"), f.format)
	if err != nil {
		return err
	}
	o, err := lessonOptions(cmd, s, &f.lab)
	if err != nil {
		return err
	}
	o.Ask = ask
	if f.format == "text" {
		o.Out, o.Text = s.out, renderOptions(s)
	}
	r, err := learn.Run(cmd.Context(), l, o)
	if err != nil {
		return err
	}
	if f.format == "json" {
		err = writeJSON(s, r)
	} else {
		err = afterLesson(s, l.ID)
	}
	if err == nil && len(r.Differs) > 0 {
		err = answer(fail.Refused)
	}
	return err
}

// page serves the lessons until Ctrl-C.
func (f *learnFlags) page(cmd *cobra.Command, s streams) error {
	if elsewhere, err := runElsewhere(f.lab.fabric); elsewhere {
		return err
	}
	o, err := lessonOptions(cmd, s, &f.lab)
	if err != nil {
		return err
	}
	var said error
	err = lessons.New(o).Serve(cmd.Context(), strconv.Itoa(f.port), func(url string) { said = say(s, "%s", url) })
	return errors.Join(said, err)
}

// lesson finds a lesson by its id, or by its number in the list.
func lesson(id string) (learn.Lesson, error) {
	all := learn.All()
	if n, err := strconv.Atoi(id); err == nil && n >= 1 && n <= len(all) {
		return all[n-1], nil
	}
	l, ok := learn.Find(id)
	if ok {
		return l, nil
	}
	var ids []string
	for _, l := range all {
		ids = append(ids, l.ID)
	}
	return l, fail.Newf(fail.Usage, "choose from "+strings.Join(ids, ", "), "there is no lesson %q", id)
}

func lessonOptions(cmd *cobra.Command, s streams, f *labFlags) (learn.Options, error) {
	if err := f.findEnvoy(cmd, s); err != nil {
		return learn.Options{}, err
	}
	app, err := measuredApp(cmd.Context(), s.err)
	return learn.Options{App: app, Fabric: f.fabric, Envoy: f.envoy}, err
}

// listLessons prints the lessons in their order.
func listLessons(s streams, format string) error {
	type entry struct {
		ID       string `json:"id"`
		Title    string `json:"title"`
		Question string `json:"question"`
	}
	var all []entry
	for _, l := range learn.All() {
		all = append(all, entry{l.ID, l.Title, l.Question})
	}
	if format == "json" {
		return writeJSON(s, all)
	}
	for i, e := range all {
		if _, err := printable.Fprintf(s.out, "%2d  %-20s %s\n", i+1, e.ID, e.Title); err != nil {
			return err
		}
	}
	_, err := printable.Fprintf(s.out, "\nStart with: hoplab learn %s\n", all[0].ID)
	return err
}

// afterLesson names the next lesson.
func afterLesson(s streams, id string) error {
	all := learn.All()
	for i, l := range all[:len(all)-1] {
		if l.ID == id {
			_, err := printable.Fprintf(s.out, "\nNext: hoplab learn %s\n", all[i+1].ID)
			return err
		}
	}
	return nil
}

// asker says how the learner's prediction is had: from the flag, from the
// terminal, or not at all.
func asker(s streams, l *learn.Lesson, choice int, given bool, format string) (func(int) (int, error), error) {
	if given {
		if choice < 1 || choice > len(l.Choices) {
			return nil, fail.Newf(fail.Usage, fmt.Sprintf("give a number from 1 to %d", len(l.Choices)), "--answer %d: lesson %s has %d choices", choice, l.ID, len(l.Choices))
		}
		return func(int) (int, error) { return choice, nil }, nil
	}
	if format != "text" || !isTerminal(s.in) || !isTerminal(s.out) {
		return nil, nil
	}
	in := bufio.NewReader(s.in)
	return func(n int) (int, error) { return ask(in, s.out, n) }, nil
}

func isTerminal(v any) bool {
	f, ok := fileOf(v)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask reads the number of a choice. An empty line and the end of input mean no prediction.
func ask(in *bufio.Reader, out io.Writer, n int) (int, error) {
	for {
		if _, err := printable.Fprintf(out, "\nYour prediction (1 to %d, Enter for none): ", n); err != nil {
			return 0, err
		}
		line, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		line = strings.TrimSpace(line)
		if k, bad := strconv.Atoi(line); bad == nil && k >= 1 && k <= n {
			return k, nil
		}
		if line == "" || err != nil {
			return 0, nil
		}
	}
}
