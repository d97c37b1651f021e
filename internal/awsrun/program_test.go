package awsrun_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// programs are what the containers with the load image run in these tests: a
// process that asks here what to do, says what it is told to say, and ends with
// the exit code that it is told. It is safe for concurrent use.
type programs struct {
	server *httptest.Server

	mu       sync.Mutex
	work     func(*loadTask) int
	attempts map[string]int // by run, replicate and generator
	tasks    map[string]int // by run
}

// programCommand is the argument by which the test binary is such a process.
const programCommand = "load"

func newPrograms() *programs {
	p := &programs{}
	p.clear()
	p.server = httptest.NewServer(p)
	return p
}

// clear forgets the tasks that there were.
func (p *programs) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work, p.attempts, p.tasks = (*loadTask).send, map[string]int{}, map[string]int{}
}

// do has the load tasks that are started from now on do some work; it returns the
// exit code.
func (p *programs) do(work func(*loadTask) int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work = work
}

// of is how many load tasks a run has started.
func (p *programs) of(run string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tasks[run]
}

// loadTask is a load task with its load.
type loadTask struct {
	samplefile.Load
	attempt        int // of its generator in its replicate, from 1
	bucket, prefix string
	holds          bool            // as a task of a service does
	stop           <-chan struct{} // closed when it is asked to stop
	say            func(line string)
}

func (p *programs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	l, err := samplefile.ParseLoad(text)
	if err != nil {
		fmt.Fprintf(w, "%v\nexit 2\n", err)
		return
	}
	k := &loadTask{Load: l, bucket: r.Header.Get("Bucket"), prefix: r.Header.Get("Prefix"), holds: r.Header.Get("Hold") != "",
		stop: r.Context().Done()}
	k.say = func(line string) {
		fmt.Fprintln(w, line)
		_ = http.NewResponseController(w).Flush() // the process may be gone
	}
	p.mu.Lock()
	key := fmt.Sprintf("%s/%d/%d", l.Run, l.Replicate, l.Generator)
	p.attempts[key]++
	p.tasks[l.Run]++
	k.attempt = p.attempts[key]
	work := p.work
	p.mu.Unlock()
	fmt.Fprintf(w, "exit %d\n", work(k))
}

// asProgram is the process: its arguments are where to ask and the load.
func asProgram(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := errors.New("two arguments are wanted")
	if len(args) == 2 {
		var code int
		if code, err = ask(ctx, args[0], args[1]); err == nil {
			return code
		}
	}
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "load program:", err)
	}
	return 143
}

func ask(ctx context.Context, where, load string) (code int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(load))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Bucket", os.Getenv("HOPLAB_BUCKET"))
	r.Header.Set("Prefix", os.Getenv("HOPLAB_PREFIX"))
	r.Header.Set("Hold", os.Getenv("HOPLAB_HOLD"))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if code, ok := strings.CutPrefix(lines.Text(), "exit "); ok {
			return strconv.Atoi(code)
		}
		fmt.Println(lines.Text())
	}
	return 0, errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

// send is what a load task does when nothing goes wrong.
func (k *loadTask) send() int {
	k.say(`{"msg":"started"}`)
	data, err := k.measure()
	if err == nil {
		err = k.put("samples.hop", data)
	}
	if err != nil {
		k.say(fmt.Sprintf(`{"level":"ERROR","msg":"failed","error":%q}`, err))
		return 5
	}
	k.say(`{"msg":"finished","records":1}`)
	k.hold()
	return 0
}

// hold waits to be stopped where a load task of a service does.
func (k *loadTask) hold() {
	if k.holds {
		k.say(`{"msg":"holding"}`)
		<-k.stop
	}
}

// wait waits to be stopped, and is then ended by a signal.
func (k *loadTask) wait() int {
	<-k.stop
	return 143
}

// put uploads a file of the load to where the SDK's environment leads.
func (k *loadTask) put(name string, data []byte) error {
	if k.Generators > 1 {
		name = strings.Replace(name, ".", fmt.Sprintf("-%03d.", k.Generator), 1)
	}
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	_, err = client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(k.bucket), Body: bytes.NewReader(data),
		Key: aws.String(fmt.Sprintf("%s%s/%02d/%s", k.prefix, k.Run, k.Replicate, name))})
	return err
}

// measure sends the generator's share, one request after the other, and returns
// the sample file. What came back is in it; a latency is a function of the
// iteration alone, so that runs can be compared.
func (k *loadTask) measure() ([]byte, error) {
	var b bytes.Buffer
	w, err := samplefile.NewWriter(&b, samplefile.Header{Load: k.Load, Build: "k6 test", StartUnixNs: time.Now().UnixNano()})
	if err != nil {
		return nil, err
	}
	client := k.client()
	defer client.CloseIdleConnections()
	var n int64
	for i := int64(k.Generator); i < k.Iterations(); i += int64(max(1, k.Generators)) {
		arm := k.Arm(i)
		out, err := exchange(client, k.Arms[arm].URL)
		if err != nil {
			return nil, err
		}
		h := fnv.New32a()
		fmt.Fprint(h, i, k.Replicate)
		r := samplefile.Record{Arm: arm, Iteration: i, Outcome: out, Latency: time.Duration(1000+h.Sum32()%500) * time.Microsecond}
		if out.AgentHeaders == 1 {
			r.Latency += 300 * time.Microsecond
		}
		if err := w.Write(r); err != nil {
			return nil, err
		}
		n++
	}
	if err := w.Close(samplefile.Trailer{Records: n, EndUnixNs: time.Now().UnixNano()}); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// client connects to what the arms' URLs stand for here.
func (k *loadTask) client() *http.Client {
	dial := map[string]string{}
	for _, a := range k.Arms {
		if u, err := url.Parse(a.URL); err == nil && a.Dial != "" {
			dial[u.Host] = a.Dial
		}
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if to, ok := dial[address]; ok {
				address = to
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}}}
}

// exchange sends one request and reads what the response proves.
func exchange(client *http.Client, to string) (out samplefile.Outcome, err error) {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { out.Reused = c.Reused }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return out, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return out, err
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil {
		return out, err
	}
	out.Status, out.BodyBytes, out.HeaderBytes, out.ServiceMs = answer.StatusCode, int(n), 180, -1
	out.Peer, out.Via = answer.Header.Get("X-Hoplab-Peer"), answer.Header.Get("X-Hoplab-App")
	if ms, err := strconv.Atoi(answer.Header.Get("X-Envoy-Upstream-Service-Time")); err == nil && answer.Header.Get("Server") == "envoy" {
		out.AgentHeaders, out.ServiceMs = 1, ms
	}
	return out, nil
}
