package samplefile

import "time"

// Header opens a sample file: the load it was made under and who made it.
type Header struct {
	Load Load `json:"load"`
	// Build identifies the load generator, e.g. "k6 v1.8.1, xk6-hoplab <digest>".
	Build string `json:"build"`
	// StartUnixNs is the wall-clock start of the scenario; planned starts count from it.
	StartUnixNs int64 `json:"start_unix_ns"`
}

// Record is one request.
type Record struct {
	Arm int // index into Header.Load.Arms
	// Iteration counts the scenario's iterations from 0 over all generators. The planned
	// start is Iteration / RatePerS after the scenario's start.
	Iteration int64
	// Late is the actual start minus the planned one; 0 or more, µs resolution.
	Late time.Duration
	// Latency runs from the first byte sent to the last byte received, at 100 ns
	// resolution: http_req_duration of k6. Waiting for a connection is in Blocked.
	Latency time.Duration
	// Blocked is the time before the first byte was sent, from asking for a
	// connection: dialling, TLS, waiting. µs resolution; about 0 on a reused connection.
	Blocked time.Duration
	Outcome Outcome
	// Class numbers the distinct (arm, outcome) pairs of one file from 0, in
	// order of first appearance; see Reader.Classes. Next sets it, so that a
	// consumer can count in a slice; Write ignores it.
	Class int
}

// Outcome is what came back. Few distinct ones exist in a run, so the file
// stores each once and refers to it.
type Outcome struct {
	Status int    `json:"status"`          // 0 when there was no response
	Error  string `json:"error,omitempty"` // "", "timeout", "reset", "refused", "eof", "dns", or "other: ..."
	// AgentHeaders is 1 when the response carries both of Envoy's headers
	// (server: envoy, x-envoy-upstream-service-time), 0 when neither; -1 when only one does.
	AgentHeaders int `json:"agent_headers"`
	// Peer is the address without port that the app says it was called from ("127.0.0.1"); "" when it did not say.
	Peer string `json:"peer,omitempty"`
	// Via names the app's own instance, as it says in its evidence header; "" when it did not say.
	Via string `json:"via,omitempty"`
	// HeaderBytes and BodyBytes are the response's sizes on the wire (status line,
	// header block with its empty line; body without framing).
	HeaderBytes int `json:"header_bytes"`
	BodyBytes   int `json:"body_bytes"`
	// ServiceMs is x-envoy-upstream-service-time, -1 when absent.
	ServiceMs int `json:"service_ms"`
	// Seen is what the response said in the headers of Load.Watch; see Load.Seen.
	// It is "" where nothing is watched.
	Seen string `json:"seen,omitempty"`
	// Reused tells whether the request went out on a connection that was open
	// already: it did not have to wait for a new one.
	Reused bool `json:"reused"`
}

// Trailer closes a sample file. A file without it is truncated.
type Trailer struct {
	Records int64 `json:"records"`
	// Dropped counts iterations that k6 could not start (dropped_iterations).
	Dropped int64 `json:"dropped"`
	// Aborted counts requests that were under way when the load ended and were
	// cut off; they have no record.
	Aborted int64 `json:"aborted,omitempty"`
	// CPUSeconds is the generator's own user plus system time since the scenario began.
	CPUSeconds float64 `json:"cpu_s"`
	// MaxRSSBytes is the generator's peak memory.
	MaxRSSBytes int64 `json:"max_rss_bytes"`
	// Connections counts the connections opened.
	Connections int64 `json:"connections"`
	EndUnixNs   int64 `json:"end_unix_ns"`
	// Interrupted is set when the process was told to stop before its plan's end.
	Interrupted bool `json:"interrupted,omitempty"`
}
