package awsrun_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// front is a proxy before the account. It takes away by what the account is
// known, so that a run does as in AWS, and does to calls what happens to them on
// the network and in AWS. Its methods are safe for concurrent use; its fields are
// changed by set.
type front struct {
	url string

	mu   sync.Mutex
	ops  map[string]int // calls, by operation
	made []string       // ARNs that RunTask and StartExecution answered with, each once
	// intercept answers a call in the account's place when it returns true; nth
	// counts the operation's calls from 1.
	intercept func(op string, nth int, w http.ResponseWriter) bool
	// asked and answered change the bodies of a call and of its answer.
	asked, answered func(op string, nth int, body []byte) []byte
	// lose names an operation that is carried out and whose answer is cut off.
	lose string
}

// call is what a front knows of a request.
type call struct {
	op  string
	nth int
}

type callKey struct{}

func newFront(t *testing.T, endpoint string) *front {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{ops: map[string]int{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, ModifyResponse: f.change,
		ErrorLog: log.New(io.Discard, "", 0)} // a caller that was killed
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, proxy) }))
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

// set changes the front while nobody looks at it.
func (f *front) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// calm takes every trouble away.
func (f *front) calm() {
	f.set(func() { f.intercept, f.asked, f.answered, f.lose = nil, nil, nil, "" })
}

// count is how often an operation was called.
func (f *front) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops[op]
}

// started lists the tasks and executions that calls have started, also those whose
// answer was lost.
func (f *front) started() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.made)
}

func (f *front) serve(w http.ResponseWriter, r *http.Request, proxy http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller was killed in mid-request, which is then no request
	}
	c := call{op: operationOf(r, body)}
	f.mu.Lock()
	f.ops[c.op]++
	c.nth = f.ops[c.op]
	intercept, asked, lose := f.intercept, f.asked, f.lose
	f.mu.Unlock()
	if intercept != nil && intercept(c.op, c.nth, w) {
		return
	}
	if asked != nil {
		body = asked(c.op, c.nth, body)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	if c.op == lose {
		defer func() { panic(http.ErrAbortHandler) }() // closes the connection
		w = httptest.NewRecorder()
	}
	proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
}

// serviceNames are the services that speak JSON, by how a request calls them.
var serviceNames = map[string]string{"AmazonEC2ContainerServiceV20141113": "ecs", "Logs_20140328": "logs", "AWSStepFunctions": "states"}

// operationOf is an operation as service:Operation, of awsQuery without the service.
func operationOf(r *http.Request, body []byte) string {
	target := r.Header.Get("X-Amz-Target")
	service, name, _ := strings.Cut(target, ".")
	switch {
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		return "cloudwatch:" + r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	case target != "":
		return serviceNames[service] + ":" + name
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		form, _ := url.ParseQuery(string(body)) // what cannot be read has no operation
		return "query:" + form.Get("Action")
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") != "":
		return "s3:LIST"
	}
	return "s3:" + r.Method
}

var madeARN = regexp.MustCompile(`"(?:taskArn|executionArn)": ?"([^"]+)"`)

// change is done to every answer of the account.
func (f *front) change(r *http.Response) error {
	r.Header.Del("Hoplab-Cloud")
	c, _ := r.Request.Context().Value(callKey{}).(call)
	if strings.HasPrefix(c.op, "s3:") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	f.mu.Lock()
	answered := f.answered
	if c.op == "ecs:RunTask" || c.op == "states:StartExecution" {
		if m := madeARN.FindSubmatch(body); m != nil && !slices.Contains(f.made, string(m[1])) {
			f.made = append(f.made, string(m[1]))
		}
	}
	f.mu.Unlock()
	if answered != nil {
		body = answered(c.op, c.nth, body)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// fails answers every call of an operation with an error.
func fails(op string, status int, code, message string) func(*front) {
	return func(f *front) {
		f.intercept = func(got string, _ int, w http.ResponseWriter) bool {
			if got == op {
				fault(w, op, status, code, message)
			}
			return got == op
		}
	}
}

// answers changes every answer to an operation.
func answers(op, pattern, with string) func(*front) {
	re := regexp.MustCompile(pattern)
	return func(f *front) {
		f.answered = func(got string, _ int, body []byte) []byte {
			if got == op {
				body = re.ReplaceAll(body, []byte(with))
			}
			return body
		}
	}
}

// fault answers with an error in the protocol of the operation.
func fault(w http.ResponseWriter, op string, status int, code, message string) {
	kind, text := "application/x-amz-json-1.1", fmt.Sprintf(`{"__type":%q,"message":%q}`, code, message)
	switch {
	case strings.HasPrefix(op, "s3:"):
		kind, text = "application/xml", fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	case strings.HasPrefix(op, "query:"):
		kind, text = "text/xml", fmt.Sprintf("<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error>"+
			"<RequestId>1</RequestId></ErrorResponse>", code, message)
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a caller that is gone wants no answer
}
