package edge

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// framingDoc is the document with the tables of this file.
func framingDoc() labtest.Trials { return labtest.Trials{Update: *update, File: "framing.md"} }

// reader is an origin that goes by the first framing it finds, as lenient
// servers do, writes down what it is sent, and answers each request.
type reader struct {
	mu     sync.Mutex
	heads  []string
	answer func(target string) string // of the attempt under way
}

// take writes a head down and returns what is answered to it.
func (o *reader) take(head string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heads = append(o.heads, head)
	if f := strings.Fields(head); len(f) > 1 {
		return o.answer(f[1])
	}
	return ""
}

// answers sets what is answered from now on.
func (o *reader) answers(f func(target string) string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = f
}

// serve reads the requests of a connection until it makes no sense any more.
func (o *reader) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		head := ""
		for !strings.HasSuffix(head, "\r\n\r\n") && !strings.HasSuffix(head, "\n\n") {
			line, err := r.ReadString('\n')
			if err != nil || len(head) > 1<<20 {
				return
			}
			head += line
		}
		answer := o.take(head)
		if !skipBody(r, head) || answer == "" {
			return
		}
		io.WriteString(c, answer)
	}
}

var (
	lengthField = regexp.MustCompile(`(?im)^content-length[ \t]*:[ \t]*(\d+)`)
	codingField = regexp.MustCompile(`(?im)^transfer-encoding[ \t]*:.*chunked`)
)

// skipBody reads the body that a head announces.
func skipBody(r *bufio.Reader, head string) bool {
	if codingField.MatchString(head) {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return false
			}
			n, err := strconv.ParseUint(strings.TrimSpace(strings.SplitN(line, ";", 2)[0]), 16, 31)
			if err != nil {
				return false
			}
			if n > 0 {
				if _, err := r.Discard(int(n) + 2); err != nil {
					return false
				}
				continue
			}
			for line != "\r\n" && line != "\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return false
				}
			}
			return true
		}
	}
	if m := lengthField.FindStringSubmatch(head); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return false
		}
		_, err = r.Discard(n)
		return err == nil
	}
	return true
}

// plain is the answer to whatever is not tried.
func plain(string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }

// seen returns the heads so far and forgets them.
func (o *reader) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	heads := o.heads
	o.heads = nil
	return heads
}

// twoFramings says what is wrong with a head that a hop sent on: what leaves its
// end in doubt, and what is no line of a head.
func twoFramings(head string) string {
	framing := 0
	for line := range strings.SplitSeq(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n") {
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		if name == "content-length" || name == "transfer-encoding" {
			framing++
		}
		if strings.ContainsAny(line, "\r\n\x00") || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			return fmt.Sprintf("the line %q", line)
		}
	}
	if framing > 1 {
		return "two framings"
	}
	return ""
}

// patience is how long the client of an attempt waits for an answer: no hop of a
// machine that is not stuck takes so long.
const patience = 2 * time.Second

// outcomeOf sends an attempt and says in a word what came of it: the status, and
// whether the connection serves another request, if the answer does not say.
func outcomeOf(addr, raw string) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "no connection"
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	first := exchangeOn(conn, r, raw, method(raw))
	if first == "closed" || first == "waits" || first[0] >= '4' {
		return first
	}
	if again := exchangeOn(conn, r, "GET /again HTTP/1.1\r\nHost: a\r\n\r\n", "GET"); again != "200" {
		return first + ", then " + again
	}
	return first
}

func method(raw string) string {
	m, _, _ := strings.Cut(strings.TrimLeft(raw, "\r\n"), " ")
	if m == "HEAD" {
		return m
	}
	return "GET"
}

// exchangeOn sends bytes and returns the status of the answer, "closed" or "waits".
func exchangeOn(conn net.Conn, r *bufio.Reader, raw, method string) string {
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, raw) // a hop that has closed is seen by the read
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "waits"
	case err != nil:
		return "closed"
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil {
		return resp.Status[:3] + ", cut short"
	}
	return resp.Status[:3]
}

// TestFramingRequests sends what servers split differently through each hop. It
// fails when one of ours lets a request out of the middle of another, or sends
// on what leaves the end of a request in doubt.
func TestFramingRequests(t *testing.T) {
	layer.Full(t, "starts other people's programs")
	list := requestAttempts()
	if len(list) < 112 {
		t.Errorf("%d requests; there were 112 once", len(list))
	}
	table := framingTable(t, list, func(t *testing.T, hp *hop, o *reader, a attempt) string {
		word := outcomeOf(hp.addr, a.raw)
		for _, head := range o.seen() {
			escaped := strings.HasPrefix(head, "GET /smuggled")
			if wrong := twoFramings(head); ours[hp.name] && (escaped || wrong != "") {
				t.Errorf("%s: %s, %s: sent on %q (%s)", hp.name, a.class, a.name, head, wrong)
			}
			if escaped {
				word += ", **smuggled**"
			}
		}
		return word
	}, func(attempt) func(string) string { return plain })
	framingDoc().Same(t, "requests", table)
}

// TestFramingAnswers is the same for answers: nothing of one may become a part
// of another exchange.
func TestFramingAnswers(t *testing.T) {
	layer.Full(t, "starts other people's programs")
	list := answerAttempts()
	if len(list) < 22 {
		t.Errorf("%d answers; there were 22 once", len(list))
	}
	table := framingTable(t, list, func(t *testing.T, hp *hop, o *reader, a attempt) string {
		word := outcomeOf(hp.addr, "GET /tried HTTP/1.1\r\nHost: a\r\n\r\n")
		o.seen()
		// What the answer left behind must not answer somebody else.
		if next := outcomeOf(hp.addr, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"); next != "200" {
			if ours[hp.name] {
				t.Errorf("%s: after %s the next request saw %s", hp.name, a.name, next)
			}
			word += "; the next " + next
		}
		o.seen()
		return word
	}, func(a attempt) func(string) string {
		return func(target string) string {
			if target == "/tried" {
				return a.raw
			}
			return plain(target)
		}
	})
	framingDoc().Same(t, "answers", table)
}

// framingTable plays every attempt at every hop, the hops side by side, and
// makes a table of it.
func framingTable(t *testing.T, list []attempt, play func(*testing.T, *hop, *reader, attempt) string,
	answering func(attempt) func(string) string,
) string {
	t.Helper()
	all := append(hops[:len(hops):len(hops)], struct {
		name  string
		start func(testing.TB, string) *hop
	}{"envoy", startEnvoy})
	for _, program := range []string{"haproxy", "nginx"} {
		if labtest.Find(program) == "" && (*update || os.Getenv("CI") == "true") {
			t.Fatalf("%s is not installed; the table compares with it", program)
		}
	}
	words := make([][]string, len(all))
	var wg sync.WaitGroup
	for i, h := range all {
		o := &reader{}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		o.answers(plain)
		hp := h.start(t, l.Addr().String())
		words[i] = make([]string, len(list))
		if hp == nil {
			for j := range list {
				words[i][j] = "not here"
			}
			continue
		}
		t.Cleanup(hp.stop)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go o.serve(c)
			}
		}()
		wg.Go(func() {
			for j, a := range list {
				o.answers(answering(a))
				words[i][j] = play(t, hp, o, a)
			}
		})
	}
	wg.Wait()
	var b bytes.Buffer
	fmt.Fprintf(&b, "| what | agent | ALB | HAProxy | nginx | Envoy |\n| --- | --- | --- | --- | --- | --- |\n")
	for j, a := range list {
		fmt.Fprintf(&b, "| %s: %s |", a.class, a.name)
		for i := range all {
			fmt.Fprintf(&b, " %s |", words[i][j])
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}
