package agent

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// attempt is a request's way to a host: the hosts that it has tried, and whether
// its last try is one of the cluster's retries. A retry is under way until its
// answer or its end.
type attempt struct {
	tried    []*host
	retrying bool
}

// connectTo sets x.Up to a connection to one of the cluster's hosts, trying again
// elsewhere when one cannot be connected to. It returns the host, or why there is
// none: a reply, or nothing when the client has gone.
func (r *route) connectTo(x *relay.Exchange, a *attempt) (*host, *localReply) {
	for now := x.Start; ; now = time.Now() {
		h := r.cluster.pick(r.worker, now, a.tried)
		if h == nil {
			return nil, replyNoHost
		}
		x.Target = h.name
		limit, late := r.patience(x, now)
		up, err := h.pools[r.worker].get(now, limit, x.Down)
		switch {
		case err == nil:
			h.succeeded()
			x.Up = up
			if len(a.tried) > 0 {
				r.lessTime(x, now)
			}
			return h, nil
		case errors.Is(err, relay.ErrClosed): // it is not among the hosts any more
			continue
		case errors.Is(err, errLeft):
			return nil, nil
		case errors.Is(err, errLate):
			if late == replyTimeout {
				r.stats.upstream[timedOut].Add(1)
			}
			return nil, late
		case errors.Is(err, errOverflow):
			return nil, overflowReply(len(a.tried) > 0)
		}
		h.failed(time.Now())
		if !r.again(a) {
			return nil, upstreamReply(dialReason(err), len(a.tried) > 0)
		}
		a.tried = append(a.tried, h)
		time.Sleep(r.agent.clock.Real(time.Duration(rand.Int64N(int64(backoffBase) * (1<<len(a.tried) - 1)))))
	}
}

// lessTime makes the head of a retry say how much of the time is left.
func (r *route) lessTime(x *relay.Exchange, now time.Time) {
	at := bytes.LastIndex(x.Out, r.timeoutField)
	if at < 0 || r.perRequest == 0 {
		return
	}
	// As Envoy counts it: what has passed in whole milliseconds, and never none left.
	left := max(r.agent.clock.Modelled(r.perRequest).Milliseconds()-r.agent.clock.Modelled(now.Sub(x.Start)).Milliseconds(), 1)
	rest := x.Out[at+len(r.timeoutField):]
	x.Out = append(appendTimeout(x.Out[:at:at], left), rest...)
}

func appendTimeout(dst []byte, ms int64) []byte {
	return h1.AppendField(dst, "x-envoy-expected-rq-timeout-ms", strconv.AppendInt(nil, ms, 10))
}

// patience is how long a request may wait for a connection (real time, 0 for no
// limit), and the reply when it has.
func (r *route) patience(x *relay.Exchange, now time.Time) (time.Duration, *localReply) {
	limit, reply := r.perRequest, replyTimeout
	if r.idle > 0 && (limit == 0 || r.idle < limit) {
		limit, reply = r.idle, replyIdle
	}
	if limit == 0 {
		return 0, nil
	}
	return max(limit-now.Sub(x.Start), time.Millisecond), reply
}

// again reports whether a request that could not connect tries once more.
func (r *route) again(a *attempt) bool {
	if r.retries == 0 {
		return false
	}
	r.endRetry(a)
	if len(a.tried) == r.retries {
		r.stats.upstream[retryLimited].Add(1)
		return false
	}
	if a.retrying = enter(&r.cluster.breakers.retries, maxRetries); !a.retrying {
		r.stats.upstream[retryOverflow].Add(1)
		return false
	}
	r.stats.upstream[retried].Add(1)
	return true
}

// answered notes that the try of a request came to an answer, or to an end for which
// it is not tried again.
func (r *route) answered(a *attempt) {
	if a.retrying {
		r.stats.upstream[retrySucceeded].Add(1)
	}
	r.endRetry(a)
}

func (r *route) endRetry(a *attempt) {
	if a.retrying {
		a.retrying = false
		r.cluster.breakers.retries.Add(-1)
	}
}
