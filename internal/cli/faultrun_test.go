package cli_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

var (
	faultRuns  = flag.Int("faults", 24, "how many commands the fault run breaks; 200 for the whole")
	faultsSeed = flag.Uint64("faults-seed", 1, "what the fault run draws them with")
)

// asCommand in the environment makes the test binary the command.
const asCommand = "HOPLAB_TEST_COMMAND"

// broken is a command of hoplab that is broken on its way.
type broken struct {
	n     int
	rand  *rand.Rand
	fault *breaking
	what  *victim
	dir   string
}

// victim is a command that may be broken.
type victim struct {
	name string
	// args are its arguments; SRC is the source that the fault chooses.
	args []string
	lab  bool // needs a lab that is up
	up   bool // leaves a lab behind when it succeeds
}

var victims = []victim{
	{name: "check", args: []string{"check", "SRC"}},
	{name: "check --format sarif", args: []string{"check", "SRC", "--format", "sarif"}},
	{name: "explain", args: []string{"explain", "SRC"}},
	{name: "explain --format json", args: []string{"explain", "SRC", "--format", "json"}},
	{name: "diagnose", args: []string{"diagnose", "SRC"}},
	{name: "cost", args: []string{"cost", "SRC"}},
	{name: "lab up", args: []string{"lab", "up", "SRC", "--wait=false"}, up: true},
	{name: "lab status", args: []string{"lab", "status"}, lab: true},
	{name: "lab curl", args: []string{"lab", "curl", "--from", "client-service", "http://app.sample-namespace:80"}, lab: true},
	{name: "lab scale", args: []string{"lab", "scale", "sample-ecs-app", "3"}, lab: true},
	{name: "lab redeploy", args: []string{"lab", "redeploy", "client-service"}, lab: true},
	{name: "lab down", args: []string{"lab", "down"}, lab: true},
	{name: "report", args: []string{"report", "RUN"}},
	{name: "compare", args: []string{"compare", "RUN", "RUN"}},
}

// breaking is a fault: it starts the command, breaks it, and returns how it ended.
type breaking struct {
	name string
	// fits says whether the fault has a meaning for the command.
	fits func(*victim) bool
	do   func(*testing.T, *broken) ended
}

// ended is how a command ended.
type ended struct {
	code     int
	killed   bool // by us, with SIGKILL: it could say nothing
	out, err string
	took     time.Duration // since the fault, or the start
}

// Bounds within which a command must end, on a machine that is busy with other
// tests: by itself, and after a signal.
const (
	endsBySelf  = 45 * time.Second
	endsOnOrder = 8 * time.Second // 2 s on a machine that is not busy (TestStories/lab-ended)
)

func reads(v *victim) bool { return slices.Contains(v.args, "SRC") }

// once reports whether a command reads its source itself, and once; lab up has
// another process read it again.
func once(v *victim) bool   { return reads(v) && !v.up }
func starts(v *victim) bool { return v.up }
func writes(v *victim) bool { return !slices.Contains(v.args, "RUN") }
func each(*victim) bool     { return true }

var breakings = []breaking{
	{"killed", each, func(t *testing.T, b *broken) ended { return b.signalled(t, syscall.SIGKILL) }},
	{"SIGINT", each, func(t *testing.T, b *broken) ended { return b.signalled(t, syscall.SIGINT) }},
	{"SIGTERM", each, func(t *testing.T, b *broken) ended { return b.signalled(t, syscall.SIGTERM) }},
	{"stopped for a while", each, func(t *testing.T, b *broken) ended { return b.stopped(t) }},
	{"lab's process stopped", func(v *victim) bool { return v.lab }, func(t *testing.T, b *broken) ended { return b.labStopped(t) }},
	{"lab's process killed", func(v *victim) bool { return v.lab }, func(t *testing.T, b *broken) ended { return b.labKilled(t) }},
	{"disk full", writes, func(t *testing.T, b *broken) ended {
		const fill = `mount -t tmpfs -o size=%dk none "$ROOM" && dd if=/dev/zero of="$ROOM/rest" bs=1k 2>/dev/null; exec "$@" >"$OUT"`
		return b.shell(t, fmt.Sprintf(fill, 8+b.rand.IntN(64)))
	}},
	{"file system read-only", each, func(t *testing.T, b *broken) ended {
		return b.shell(t, `mount --bind "$ROOM" "$ROOM" && mount -o remount,bind,ro "$ROOM" && exec "$@"`)
	}},
	{"few descriptors", each, func(t *testing.T, b *broken) ended {
		return b.shell(t, fmt.Sprintf(`ulimit -n %d && exec "$@"`, 8+b.rand.IntN(40)))
	}},
	{"slow disk", once, func(t *testing.T, b *broken) ended { return b.slow(t) }},
	{"FIFO that nobody writes", reads, func(t *testing.T, b *broken) ended { return b.fifo(t) }},
	{"huge count", reads, func(t *testing.T, b *broken) ended { return b.run(t, b.huge(t)) }},
}

// heavy are tried once each, and only in the whole.
var heavy = []breaking{
	{"200 tasks", starts, func(t *testing.T, b *broken) ended {
		path := filepath.Join(b.dir, "many.json")
		if err := os.WriteFile(path, cfntest.Fleet{N: 4, Tasks: 50}.Template(), 0o644); err != nil {
			t.Fatal(err)
		}
		return b.impatient(t, path)
	}},
	{"30 labs at once", starts, func(t *testing.T, b *broken) ended { return b.thirty(t) }},
}

// endsWhenHeavy bounds those.
const endsWhenHeavy = 5 * time.Minute

// impatient starts a lab, and orders it to end when it is not up after a minute.
func (b *broken) impatient(t *testing.T, src string) ended {
	cmd := b.command(t, b.args(src)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	order := time.AfterFunc(time.Minute, func() { cmd.Process.Signal(syscall.SIGINT) })
	defer order.Stop()
	e := b.end(cmd, time.Now(), time.Minute+2*endsOnOrder)
	e.out, e.err = out.String(), errOut.String()+e.err
	return e
}

// thirty starts so many labs side by side and brings them down again.
func (b *broken) thirty(t *testing.T) ended {
	var wg sync.WaitGroup
	results := make([]ended, 30)
	for i := range results {
		wg.Go(func() {
			name := fmt.Sprintf("n%d", i)
			results[i] = b.end(b.command(t, append(b.args(b.source()), "--name", name)...), time.Now(), endsWhenHeavy)
			if down := b.end(b.command(t, "lab", "down", "--name", name), time.Now(), endsBySelf); results[i].code == 0 && down.code != 0 {
				results[i] = down
			}
		})
	}
	wg.Wait()
	return slices.MaxFunc(results, func(a, b ended) int { return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.took, b.took)) })
}

// TestFaultRun breaks commands in ways drawn by a seed. Each must end within its
// bound, leave no process and no file behind, and say in a line what happened.
// With -update and the whole it writes the table into docs/trials.md.
func TestFaultRun(t *testing.T) {
	layer.Full(t, "runs the command in processes of its own")
	if runtime.GOOS != "linux" {
		layer.Lacking(t, "mounts file systems and reads /proc")
	}
	if err := smallDisks(); err != nil {
		layer.Lacking(t, "lets no user mount a file system: "+err.Error())
	}
	var mu sync.Mutex
	tally := map[string]*tallied{}
	slots := make(chan struct{}, 2)
	t.Run("each", func(t *testing.T) {
		for n := range *faultRuns {
			b := draw(n, *faultsSeed)
			name := strings.ReplaceAll(fmt.Sprintf("%03d-%s-%s", n, b.what.name, b.fault.name), " ", "_")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				e := b.play(t)
				mu.Lock()
				defer mu.Unlock()
				key := b.fault.name + "\x00" + b.what.name
				if tally[key] == nil {
					tally[key] = &tallied{}
				}
				tally[key].add(b, e)
			})
		}
	})
	table := tableOf(tally)
	t.Logf("\n%s", table)
	if *faultRuns >= 200 {
		labtest.Trials{Update: *update}.Write(t, "broken commands", table)
	}
}

// tallied is what came of one fault of one command.
type tallied struct {
	n     int
	took  time.Duration // the longest
	codes map[int]int
	said  string
}

func (x *tallied) add(b *broken, e ended) {
	x.n++
	x.took = max(x.took, e.took)
	if x.codes == nil {
		x.codes = map[int]int{}
	}
	if !e.killed {
		x.codes[e.code]++
	}
	if line := b.plain(firstLine(e.err)); len(line) > len(x.said) {
		x.said = line
	}
}

func tableOf(tally map[string]*tallied) string {
	var out strings.Builder
	fmt.Fprint(&out, "| fault | command | tried | exit codes | longest | what it said |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, key := range slices.Sorted(maps.Keys(tally)) {
		fault, what, _ := strings.Cut(key, "\x00")
		x := tally[key]
		var codes []string
		for _, c := range slices.Sorted(maps.Keys(x.codes)) {
			code := strconv.Itoa(c)
			if c < 0 {
				code = "signal"
			}
			codes = append(codes, fmt.Sprintf("%s ×%d", code, x.codes[c]))
		}
		said := strings.ReplaceAll(x.said, "|", "\\|")
		fmt.Fprintf(&out, "| %s | %s | %d | %s | %.1f s | %s |\n", fault, what, x.n, strings.Join(codes, ", "), x.took.Seconds(), said)
	}
	return out.String()
}

// draw chooses the command and the fault of one try: the faults in turn, so that
// few tries have them all, each of a command that it fits.
func draw(n int, seed uint64) *broken {
	b := &broken{n: n, rand: rand.New(rand.NewPCG(seed, uint64(n)))}
	b.fault = &breakings[n%len(breakings)]
	if last := n - (200 - len(heavy)); last >= 0 && last < len(heavy) {
		b.fault = &heavy[last]
	}
	for b.what == nil || !b.fault.fits(b.what) {
		b.what = &victims[b.rand.IntN(len(victims))]
	}
	return b
}

var (
	crash  = regexp.MustCompile(`(?m)^(panic:|fatal error:|runtime error|goroutine \d+ )`)
	saying = regexp.MustCompile(`(?m)^hoplab [a-z ]+: \S`)
)

// play breaks the command once and checks what is left of it.
func (b *broken) play(t *testing.T) ended {
	dir, err := os.MkdirTemp("", "hl")
	if err != nil {
		t.Fatal(err)
	}
	b.dir = dir
	defer os.RemoveAll(dir)
	defer endAll(dir)
	for _, d := range []string{"run", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "r"), os.DirFS("../../docs/sample-run")); err != nil {
		t.Fatal(err)
	}
	if b.what.lab {
		if e := b.end(b.command(t, "lab", "up", b.source(), "--wait=false"), time.Now(), 2*endsBySelf); e.code != 0 {
			t.Fatalf("the lab to break did not come up: %s", e.err)
		}
	}
	e := b.fault.do(t, b)
	if crash.MatchString(e.err) || crash.MatchString(e.out) {
		t.Errorf("it crashed:\n%s", e.err)
	}
	if said := e.err; e.code == 5 || e.code == 2 {
		if !e.killed && !saying.MatchString(said) && !strings.Contains(e.out, "hoplab") {
			t.Errorf("exit code %d, and no line says why: %q", e.code, said)
		}
		if lines := strings.Count(said, "\n"); lines > 12 {
			t.Errorf("%d lines about one fault:\n%s", lines, said)
		}
	}
	b.nothingLeft(t)
	return e
}

// nothingLeft brings down a lab that is up, as its user would, and then looks for
// processes and files.
func (b *broken) nothingLeft(t *testing.T) {
	t.Helper()
	own := filepath.Join(b.dir, "run", fmt.Sprintf("hoplab-%d", os.Geteuid()))
	if _, err := os.Stat(filepath.Join(own, "default")); err == nil {
		// A lab whose process was killed left its directory, which the next one removes.
		b.end(b.command(t, "lab", "down"), time.Now(), endsBySelf)
	}
	var left []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		left = nil
		for pid, env := range processes() {
			if strings.Contains(env, "\x00WORK="+b.dir+"\x00") {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				left = append(left, fmt.Sprintf("%d: %s", pid, bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
			}
		}
		if len(left) == 0 {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("still running:\n%s", strings.Join(left, "\n"))
	}
	if b.fault.name == "killed" || b.fault.name == "lab's process killed" {
		return // who is killed cannot remove what he has made; the next one does
	}
	for _, pattern := range []string{filepath.Join(own, "*"), filepath.Join(b.dir, "tmp", "*")} {
		files, _ := filepath.Glob(pattern)
		files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, ".failed.log") })
		if len(files) > 0 {
			t.Errorf("left behind: %v", files)
		}
	}
}

// source is the template that commands read unless the fault gives another.
func (b *broken) source() string {
	root, _ := filepath.Abs("../../stacks/testdata/golden/bypass")
	return root
}

// args are the command's arguments with the source in them.
func (b *broken) args(src string) []string {
	args := slices.Clone(b.what.args)
	for i, a := range args {
		switch a {
		case "SRC":
			args[i] = src
		case "RUN":
			args[i] = filepath.Join(b.dir, "r")
		}
	}
	return args
}

// command is hoplab with the arguments, in the surroundings of this try.
func (b *broken) command(t *testing.T, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = b.dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "GOCOVERDIR=") }),
		asCommand+"=1", "WORK="+b.dir, "TMPDIR="+filepath.Join(b.dir, "tmp"), "XDG_RUNTIME_DIR="+filepath.Join(b.dir, "run"),
		"XDG_CACHE_HOME="+cache, "HOPLAB_REPO="+root)
	return cmd
}

// end starts a command if it is not started yet, and waits for its end, at most
// so long since a moment; what takes longer is killed and is an error.
func (b *broken) end(cmd *exec.Cmd, since time.Time, limit time.Duration) ended {
	var out, errOut bytes.Buffer
	if cmd.Process == nil {
		if cmd.Stdout == nil {
			cmd.Stdout = &out
		}
		cmd.Stderr = &errOut
		cmd.WaitDelay = time.Second // a lab that it leaves up has our pipes
		if err := cmd.Start(); err != nil {
			return ended{code: -1, err: err.Error()}
		}
	}
	timer := time.AfterFunc(time.Until(since.Add(limit)), func() { cmd.Process.Kill() })
	cmd.Wait()
	e := ended{code: cmd.ProcessState.ExitCode(), out: out.String(), err: errOut.String(), took: time.Since(since)}
	if !timer.Stop() {
		e.err += fmt.Sprintf("\npanic: it did not end within %s", limit) // found by who looks for crashes
	}
	return e
}
