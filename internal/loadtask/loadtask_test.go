package loadtask

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// setting is a bucket behind a fake S3, a target, and the environment of a task.
type setting struct {
	objects func(key string) ([]byte, bool)
	env     map[string]string
	load    samplefile.Load
	served  *atomic.Int64
}

func newSetting(t *testing.T, wrap func(http.Handler) http.Handler) *setting {
	t.Helper()
	layer.Full(t, "needs the built k6")
	backend := s3mem.New()
	if err := backend.CreateBucket("results"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend).Server()
	if wrap != nil {
		handler = wrap(handler)
	}
	store := httptest.NewServer(handler)
	t.Cleanup(store.Close)
	served := new(atomic.Int64)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, "Hello World")
	}))
	t.Cleanup(target.Close)

	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := k6.Build(t.Context(), r, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"HOPLAB_BUCKET": "results", "HOPLAB_PREFIX": "runs", "HOPLAB_K6": binary.Path,
		"AWS_ENDPOINT_URL": store.URL, "AWS_REGION": "eu-central-1",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1",
	}
	for k, v := range env { // the SDK reads the process's environment
		if strings.HasPrefix(k, "AWS_") {
			t.Setenv(k, v)
		}
	}
	nowhere := filepath.Join(t.TempDir(), "none") // no configuration of the user
	t.Setenv("AWS_CONFIG_FILE", nowhere)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
	return &setting{
		env: env, served: served,
		objects: func(key string) ([]byte, bool) {
			obj, err := backend.GetObject("results", key, nil)
			if err != nil {
				return nil, false
			}
			defer obj.Contents.Close()
			data, err := io.ReadAll(obj.Contents)
			if err != nil {
				t.Fatal(err)
			}
			return data, true
		},
		load: samplefile.Load{
			Schema: samplefile.LoadSchema, PlanHash: "p", Run: "run-1", Target: "aws", Replicate: 3, Seed: 4,
			Arms:   []samplefile.LoadArm{{Name: "agent", URL: target.URL, Weight: 1}, {Name: "bypass", URL: target.URL, Weight: 1}},
			Design: samplefile.DesignRandom, RatePerS: 100, DurationS: 1, WindowS: 1, KeepAlive: true, TimeoutS: 5,
			Client: samplefile.ClientNative, Generators: 1, VUs: 40,
		},
	}
}

func (s *setting) run(t *testing.T, ctx context.Context) (code int, log string) {
	t.Helper()
	text, err := json.Marshal(s.load)
	if err != nil {
		t.Fatal(err)
	}
	var out syncBuffer
	code = Run(ctx, []string{string(text)}, func(k string) string { return s.env[k] }, &out)
	return code, out.String()
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (s *setting) samples(t *testing.T, key string) (int64, samplefile.Header, samplefile.Trailer) {
	t.Helper()
	data, ok := s.objects(key)
	if !ok {
		t.Fatalf("no object %s", key)
	}
	r, err := samplefile.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var rec samplefile.Record
	for err = r.Next(&rec); err == nil; err = r.Next(&rec) {
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return r.Records(), r.Header(), r.Trailer()
}

func TestSamplesReachTheBucket(t *testing.T) {
	s := newSetting(t, nil)
	code, log := s.run(t, t.Context())
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, log)
	}
	n, head, tr := s.samples(t, "runs/run-1/03/samples.hop")
	if n != 100 || tr.Interrupted || head.Load.PlanHash != "p" || !strings.HasPrefix(head.Build, "k6 v1.8.1, binary ") {
		t.Errorf("%d records, header %+v, trailer %+v", n, head, tr)
	}
	for _, name := range []string{"load.json", "k6.log"} {
		if _, ok := s.objects("runs/run-1/03/" + name); !ok {
			t.Errorf("no %s", name)
		}
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line %q is not JSON", line)
		}
	}
	if s.served.Load() != 100 {
		t.Errorf("the target saw %d requests", s.served.Load())
	}
}

func TestGeneratorsHaveTheirOwnKeys(t *testing.T) {
	s := newSetting(t, nil)
	s.load.Generators, s.load.Generator = 2, 1
	if code, log := s.run(t, t.Context()); code != 0 {
		t.Fatalf("exit code %d\n%s", code, log)
	}
	if n, head, _ := s.samples(t, "runs/run-1/03/samples-001.hop"); n == 0 || n > 50 || head.Load.Generator != 1 {
		t.Errorf("%d records of generator %d", n, head.Load.Generator)
	}
}

// ECS stops a task with SIGTERM: what was measured still reaches the bucket.
func TestStoppedTaskSendsWhatItHas(t *testing.T) {
	s := newSetting(t, nil)
	s.load.DurationS = 60
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for s.served.Load() < 100 && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	code, log := s.run(t, ctx)
	if code != 5 {
		t.Errorf("exit code %d\n%s", code, log)
	}
	if n, _, tr := s.samples(t, "runs/run-1/03/samples.hop"); n < 90 || !tr.Interrupted {
		t.Errorf("%d records, %+v", n, tr)
	}
}

// A bucket that refuses is found before the first request is sent.
func TestDeniedBucketSendsNothing(t *testing.T) {
	s := newSetting(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>`)
		})
	})
	code, log := s.run(t, t.Context())
	if code != 5 || !strings.Contains(log, "s3:PutObject on arn:aws:s3:::results/runs/*") {
		t.Errorf("exit code %d\n%s", code, log)
	}
	if s.served.Load() != 0 {
		t.Errorf("%d requests were sent", s.served.Load())
	}
}

func TestUsage(t *testing.T) {
	good := `{"schema":"hoplab/load/v1","run":"%s","arms":[{"name":"a","url":"http://a/","weight":1}],"design":"random","rate_per_s":1,
		"duration_s":1,"window_s":1,"timeout_s":1,"client":"native","generators":1,"vus":1}`
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no load":      {nil, "no load"},
		"two":          {[]string{"{}", "{}"}, "2 arguments"},
		"not JSON":     {[]string{"{"}, "load:"},
		"wrong schema": {[]string{"{}"}, "schema"},
		"climbing key": {[]string{fmt.Sprintf(good, "../x")}, "plain name"},
		"no bucket":    {[]string{fmt.Sprintf(good, "r")}, "HOPLAB_BUCKET"},
	} {
		var out bytes.Buffer
		if code := Run(t.Context(), c.args, func(string) string { return "" }, &out); code != 2 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit code %d, %s", name, code, out.String())
		}
	}
}

// The task of a service must not end by itself: ECS would start it again.
func TestHoldWaitsForTheStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out syncBuffer
	done := make(chan int, 1)
	go func() {
		done <- Run(ctx, nil, func(k string) string { return map[string]string{"HOPLAB_HOLD": "1"}[k] }, &out)
	}()
	for !strings.Contains(out.String(), "holding") {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-done:
		t.Error("it ended before it was told to")
	default:
	}
	cancel()
	if code := <-done; code != 2 {
		t.Errorf("exit code %d", code)
	}
}
