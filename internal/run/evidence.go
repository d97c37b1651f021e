package run

// Environment is the machine and the versions of a run, read once at its start.
type Environment struct {
	Run        string `json:"run"` // the run's name
	StartedUTC string `json:"started_utc"`
	Hoplab     string `json:"hoplab"` // version and commit
	K6         string `json:"k6"`     // first line of k6 version
	Go         string `json:"go"`
	OS         string `json:"os"`
	Kernel     string `json:"kernel"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	MemoryMiB  int64  `json:"memory_mib"`
	Virtual    string `json:"virtual,omitempty"` // hypervisor as the CPU flags tell, if any
	// Source is what was deployed: a path or "golden templates", with the digest in Plan.Topology.
	Source string `json:"source"`
	// Inject is the delays that were asked for, as written; a resumed run goes on with them.
	Inject []string `json:"inject,omitempty"`
	// Agent is what ran as the agents of a run on the lab; nil when not recorded.
	Agent *Agent `json:"agent,omitempty"`
	// Command repeats the run.
	Command string `json:"command"`
	// AWS holds region, account, platform version, task sizes and zones of a deployed run.
	AWS map[string]string `json:"aws,omitempty"`
}

// Agent is the program in the agents' place.
type Agent struct {
	Name    string `json:"name"`              // "Envoy", or "lab"
	Version string `json:"version,omitempty"` // of Envoy
	SHA256  string `json:"sha256,omitempty"`  // of its binary
	From    string `json:"from,omitempty"`    // where it was found
	// Why says what kept a run that names no agent from measuring Envoy.
	Why string `json:"why,omitempty"`
}

// Evidence is what was counted beside the requests of one replicate.
type Evidence struct {
	Replicate int  `json:"replicate"`
	Complete  bool `json:"complete"`
	// Failure says why the replicate does not count; "" when Complete.
	Failure       string `json:"failure,omitempty"`
	StartedUnixNs int64  `json:"started_unix_ns"`
	EndedUnixNs   int64  `json:"ended_unix_ns"`
	// StartOrder and Addresses record what was redrawn for this replicate.
	StartOrder []string          `json:"start_order,omitempty"`
	Addresses  map[string]string `json:"addresses,omitempty"` // what was dialled, by arm
	// Agents counts what each arm's agents saw, by arm and then role.
	Agents []AgentCount `json:"agents,omitempty"`
	// Apps counts what each arm's app processes answered.
	Apps []AppCount `json:"apps,omitempty"`
	// CPU is the machine over time, oldest first.
	CPU []CPUSlice `json:"cpu,omitempty"`
	// KeepAwake is "on", "off", or why it could not be had.
	KeepAwake string `json:"keep_awake"`
	// OneCore is "core N" when lab and load generator ran on core N alone,
	// "off", or why it could not be had.
	OneCore string `json:"one_core,omitempty"`
	// Injected lists delays that were injected on purpose, with what was realised.
	Injected []Injected `json:"injected,omitempty"`
	// CloudWatch holds the second source of a deployed run's evidence.
	CloudWatch []MetricCount `json:"cloudwatch,omitempty"`
	Warnings   []string      `json:"warnings,omitempty"`
}

// AgentCount is one agent's counters over the replicate, warm-up included.
type AgentCount struct {
	Arm          string `json:"arm"`
	Role         string `json:"role"`     // "ingress" or "egress"
	Name         string `json:"name"`     // discovery name
	Requests     int64  `json:"requests"` // health checks apart
	HealthChecks int64  `json:"health_checks"`
	// Handshakes is how many TLS handshakes an agent of Role ingress has seen
	// through, health checks' included, since it was started: connections are
	// kept, and may be older than the load.
	Handshakes int64 `json:"handshakes,omitempty"`
	// BusyUs is the summed time between the request's last byte in and the
	// response's first byte out, less the upstream's share; -1 when not kept.
	BusyUs float64 `json:"busy_us"`
}

// AppCount is one app process's counters.
type AppCount struct {
	Arm      string `json:"arm"`
	Instance string `json:"instance"`
	Requests int64  `json:"requests"`
}

// CPUSlice is the share of all cores' time in one slice of the replicate.
type CPUSlice struct {
	StartUnixNs int64   `json:"start_unix_ns"`
	EndUnixNs   int64   `json:"end_unix_ns"`
	Busy        float64 `json:"busy"`    // user, nice of others, system, irq, softirq; idle-priority spinners not counted
	Softirq     float64 `json:"softirq"` // part of Busy
	Steal       float64 `json:"steal"`
}

// Injected is a delay injected at a hop.
type Injected struct {
	Hop        string  `json:"hop"`
	Arm        string  `json:"arm"`
	AskedUs    float64 `json:"asked_us"`
	Share      float64 `json:"share"`
	Count      int64   `json:"count"`       // 0 where the hop does not count: the app
	RealisedUs float64 `json:"realised_us"` // mean over Count
}

// MetricCount is one CloudWatch metric summed over the replicate's minutes,
// and what the samples say that it must be.
type MetricCount struct {
	Arm        string            `json:"arm"` // the arms that it counts, joined with "+"
	Namespace  string            `json:"namespace"`
	Metric     string            `json:"metric"`
	Dimensions map[string]string `json:"dimensions"`
	// FromUnixNs and ToUnixNs bound the minutes; ToUnixNs is not included.
	FromUnixNs int64 `json:"from_unix_ns"`
	ToUnixNs   int64 `json:"to_unix_ns"`
	// Low is the number of requests that were answered, High that of requests
	// that were sent and of health checks that may have been counted with them.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Sum  float64 `json:"sum"`
	// Points is the number of data points behind Sum; CloudWatch has none where nothing was counted.
	Points  int  `json:"points"`
	Settled bool `json:"settled"` // Sum was read twice, long enough after the last minute
}
