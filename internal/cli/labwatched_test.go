package cli_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/quiet"
	"github.com/hoplab/hoplab/internal/stats"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

var watched = flag.Int("watched", 0, "pairs of blocks with which TestWatchedLab judges what the page costs; 20 for its table")

// Of a block of TestWatchedLab: how many requests a second, how long they are
// not measured and how long they are.
const (
	watchedRate = 60
	watchedLead = 4 * time.Second // the map's first movement ends before
	watchedFor  = 5 * time.Second
)

// TestWatchedLab sends 60 requests a second by name, through both agents, in
// blocks in which a browser watches the lab's page and blocks in which neither
// browser nor page is there, by turns and in random order. The page has to show
// them all. With -watched 20, on a machine that does nothing else, it also fails
// when who watches makes the median or the 90th percentile measurably longer (by
// chance once in forty times, 1/80 for each); -update writes the table:
//
//	go test ./internal/cli -run TestWatchedLab -watched 20 -update -timeout 20m
func TestWatchedLab(t *testing.T) {
	layer.Full(t, "needs a browser, runs the command in processes of its own")
	busy := busyness()
	w := startWatched(t)
	awake, status := quiet.KeepAwake([]string{w.self, "spin"})
	defer awake()
	differ := map[float64][]float64{}
	alone := map[float64][]float64{}
	for range max(*watched, 1) {
		var block [2][]float64
		for _, i := range rand.Perm(2) {
			block[i] = w.block(t, i == 1)
		}
		for _, q := range []float64{0.5, 0.9} {
			without, with := stats.Quantile(block[0], q), stats.Quantile(block[1], q)
			differ[q], alone[q] = append(differ[q], with-without), append(alone[q], without)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d pairs of blocks of %d s, %d requests/s; cores kept awake: %s; %s\n\n",
		len(alone[0.5]), int(watchedFor.Seconds()), watchedRate, status, busy)
	b.WriteString("| quantile | nobody watches, µs | watched − not, µs | 97.5 % interval, µs |\n| --- | --- | --- | --- |\n")
	for _, q := range []float64{0.5, 0.9} {
		d, was := stats.Student(differ[q], 0.975), stats.Student(alone[q], 0.975).Estimate
		fmt.Fprintf(&b, "| p%g | %.0f | %+.1f | %+.1f to %+.1f |\n", q*100, was, d.Estimate, d.Low, d.High)
		if *watched > 1 && d.Low > 0 {
			t.Errorf("the page makes the lab slower: p%g by %+.1f µs [%+.1f, %+.1f] of %.0f", q*100, d.Estimate, d.Low, d.High, was)
		}
	}
	t.Log("\n" + b.String())
	if *watched > 1 {
		labtest.Trials{Update: *update}.Write(t, "watched", b.String())
	}
}

// busyness says what else the machine had to do before the test.
func busyness() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "how busy the machine was is not known."
	}
	minute, _, _ := strings.Cut(string(text), " ")
	return fmt.Sprintf("%s processes wanted one of the %d cores in the minute before.", minute, runtime.NumCPU())
}

// watchedLab is a lab beside the shell, a client that calls it, and a browser.
type watchedLab struct {
	*shell
	client *http.Client
	sent   int
	tell   io.Writer // labwatched.mjs
	told   *bufio.Reader
}

func startWatched(t *testing.T) *watchedLab {
	t.Helper()
	chromium := labtest.Driven(t)
	w := &watchedLab{shell: newShell(t)}
	w.hoplab(t, "lab", "up", w.golden("bypass"))
	d := w.dialInfo(t)
	dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.From)}}
	w.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", d.Dial)
		}}}
	drive := w.command("node", filepath.Join("testdata", "labwatched.mjs"), chromium)
	in, err := drive.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := drive.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := labtest.StartChild(drive); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := drive.Wait(); err != nil {
			t.Errorf("labwatched.mjs: %v", err)
		}
	})
	w.tell, w.told = in, bufio.NewReader(out)
	return w
}

const watchedURL = "http://app.sample-namespace:80/"

// dialInfo is what the client's task connects to.
func (w *watchedLab) dialInfo(t *testing.T) (d lab.DialInfo) {
	t.Helper()
	p, err := labctl.At("default")
	if err != nil {
		t.Fatal(err)
	}
	c, err := labctl.Dial(p)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var st lab.Status
	if err := c.Call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(st.Services, func(s lab.ServiceStatus) bool { return s.Name == "client-service" })
	if err := c.Call(labctl.Request{Op: labctl.OpDial, Caller: lab.Caller{Service: st.Services[i].ID}, URL: watchedURL}, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// block sends the requests of one block and returns their latencies in µs, in
// ascending order.
func (w *watchedLab) block(t *testing.T, seen bool) (us []float64) {
	t.Helper()
	if seen {
		url, end := w.page(t)
		defer end()
		w.drive(t, url)
		defer func() {
			want := fmt.Sprintf("client agent of client-service: %d", w.sent)
			if shown := w.drive(t, want); shown != "" {
				t.Errorf("the page shows %s; want %s", shown, want)
			}
		}()
	}
	begin := time.Now()
	for i := range int((watchedLead + watchedFor).Seconds()) * watchedRate {
		time.Sleep(time.Until(begin.Add(time.Duration((float64(i) + rand.Float64()) / watchedRate * float64(time.Second)))))
		sent := time.Now()
		w.once(t)
		if sent.Sub(begin) > watchedLead {
			us = append(us, float64(time.Since(sent).Nanoseconds())/1000)
		}
	}
	slices.Sort(us)
	return us
}

func (w *watchedLab) once(t *testing.T) {
	resp, err := w.client.Get(watchedURL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", resp.Status, err)
	}
	w.sent++
}

// drive gives labwatched.mjs a line and returns its answer.
func (w *watchedLab) drive(t *testing.T, line string) string {
	t.Helper()
	if _, err := fmt.Fprintln(w.tell, line); err != nil {
		t.Fatal(err)
	}
	answer, err := w.told.ReadString('\n')
	if err != nil {
		t.Fatalf("labwatched.mjs: %v", err)
	}
	return strings.TrimSpace(answer)
}
