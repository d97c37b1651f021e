package relay

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// Heads are the heads of one exchange as its hop read and wrote them, each with
// its first line and without the empty one; empty where there was none. Those of
// HTTP/2 have the form of HTTP/1.1. What came in has its fields in their order,
// without the blanks around values.
type Heads struct {
	Part        string `json:"part"` // Server.Part
	RequestIn   string `json:"request_in,omitempty"`
	RequestOut  string `json:"request_out,omitempty"`
	ResponseIn  string `json:"response_in,omitempty"`
	ResponseOut string `json:"response_out,omitempty"`
}

// Tap keeps the heads of the requests that somebody watches for, found by their
// X-Request-Id. Servers may share it. The zero value watches for none, which
// costs an exchange one load. It is safe for concurrent use.
type Tap struct {
	watched atomic.Int32
	mu      sync.Mutex
	kept    map[string][]*Heads
}

// A tap watches for so many requests at once, and keeps so many exchanges of
// each: one that goes in a circle has no end.
const (
	maxWatched   = 64
	maxExchanges = 16
)

// Watch keeps the heads of requests with the id from now on, until Take.
func (t *Tap) Watch(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		t.kept = map[string][]*Heads{}
	}
	if len(t.kept) < maxWatched && id != "" {
		t.kept[id] = nil
	}
	t.watched.Store(int32(len(t.kept)))
}

// Take returns what was kept for the id, in the order in which the requests
// came, and watches for it no longer. The heads that an exchange has not come
// to yet are empty.
func (t *Tap) Take(id string) []Heads {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Heads
	for _, h := range t.kept[id] {
		out = append(out, *h)
	}
	delete(t.kept, id)
	t.watched.Store(int32(len(t.kept)))
	return out
}

// begin returns where the heads of x go; nil when nobody watches for it.
func (t *Tap) begin(x *Exchange) *Heads {
	if t == nil || t.watched.Load() == 0 {
		return nil
	}
	id := x.Req.Get(h1.XRequestID)
	if id == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	list, ok := t.kept[string(id)]
	if !ok || len(list) >= maxExchanges {
		return nil
	}
	h := &Heads{Part: x.server.Part, RequestIn: requestText(&x.Req)}
	t.kept[string(id)] = append(list, h)
	return h
}

// keep sets a head of an exchange that is watched for.
func (x *Exchange) keep(which func(*Heads) *string, head string) {
	x.server.Tap.mu.Lock()
	defer x.server.Tap.mu.Unlock()
	*which(x.heads) = head
}

func requestOut(h *Heads) *string  { return &h.RequestOut }
func responseIn(h *Heads) *string  { return &h.ResponseIn }
func responseOut(h *Heads) *string { return &h.ResponseOut }

func requestText(r *h1.Request) string {
	b := append(append([]byte(nil), r.Method...), ' ')
	return fieldsText(append(b, r.Target...), " HTTP/1."+strconv.Itoa(r.Minor), r.Fields)
}

func responseText(r *h1.Response) string {
	b := []byte("HTTP/1." + strconv.Itoa(r.Minor) + " " + strconv.Itoa(r.Status) + " ")
	return fieldsText(append(b, r.Reason...), "", r.Fields)
}

// fieldsText ends the first line and appends the fields.
func fieldsText(first []byte, end string, fields []h1.Field) string {
	b := append(append(first, end...), "\r\n"...)
	for i := range fields {
		if id := fields[i].ID; id == h1.StreamLength || id == h1.StreamError {
			continue // are between codec and hop
		}
		b = append(append(append(b, fields[i].Name...), ": "...), fields[i].Value...)
		b = append(b, "\r\n"...)
	}
	return string(b)
}
