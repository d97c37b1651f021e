package agent

import "sync/atomic"

// breakers count what is under way in a cluster, which its workers share. They are
// Envoy's circuit breakers; nothing is known of AWS setting them, so that the limits
// are Envoy's defaults.
type breakers struct{ connections, pending, requests, retries atomic.Int32 }

const (
	maxConnections = 1024
	maxPending     = 1024
	maxRequests    = 1024
	maxRetries     = 3
)

// enter counts one more unless there are as many as may be.
func enter(n *atomic.Int32, limit int32) bool {
	if n.Add(1) <= limit {
		return true
	}
	n.Add(-1)
	return false
}
