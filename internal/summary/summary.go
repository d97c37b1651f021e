// Package summary is the result of a run as a value: the published schema
// hoplab/summary/v1 and, beside it, what the page needs to draw. It holds no
// logic but its rounding; analysis fills it and report renders it.
package summary

// Schema is the value of Summary.Schema.
const Schema = "hoplab/summary/v1"

// Verdicts.
const (
	Within     = "within"      // every budget holds, by the upper end of its interval
	Over       = "over"        // a budget is exceeded, by the lower end of its interval
	Different  = "different"   // no budget given; the primary quantile's interval excludes zero and the A/A floor
	CannotTell = "cannot_tell" // the data cannot answer
	Refused    = "refused"     // the evidence contradicts the plan
)

// Result is everything that a rendering may use.
type Result struct {
	Summary Summary
	Detail  Detail
}

// Summary is hoplab/summary/v1. Latencies are microseconds, see Round.
type Summary struct {
	Schema       string             `json:"schema"`
	Run          string             `json:"run"`
	Target       string             `json:"target"`
	Fabric       string             `json:"fabric,omitempty"`
	Agent        *Agent             `json:"agent,omitempty"` // nil on aws and for result files
	Seed         uint64             `json:"seed"`
	Plan         Plan               `json:"plan"`
	Arms         []Arm              `json:"arms"`
	Differences  []Difference       `json:"differences"`
	NoiseFloorUs map[string]float64 `json:"noise_floor_us"` // A/A half-width by quantile name, e.g. "p50"
	Verdict      string             `json:"verdict"`
	// Sentences answer in plain words, one per quantile that was asked; every rendering opens with them.
	Sentences []string       `json:"sentences"`
	Budgets   []BudgetResult `json:"budgets,omitempty"`
	// Quantities are what else was compared: means, shares above a limit, failures, rates.
	Quantities []Quantity `json:"quantities,omitempty"`
	Ledger     *Ledger    `json:"ledger,omitempty"`
	// Contradictions lists what made the verdict "refused", first ones only.
	Contradictions []Contradiction `json:"contradictions,omitempty"`
	// Partial is set when the run did not finish its plan.
	Partial  *Partial  `json:"partial,omitempty"`
	Warnings []Warning `json:"warnings"`
}

// Agent is the program that ran as the agents of a run on the lab.
type Agent struct {
	Name    string `json:"name"`              // "Envoy", or "the lab's own agent, not Envoy"
	Version string `json:"version,omitempty"` // of Envoy
	SHA256  string `json:"sha256,omitempty"`  // of its binary
}

// Plan is the part of the plan that readers of a summary need.
type Plan struct {
	Profile    string   `json:"profile"`
	Design     string   `json:"design"`
	Hash       string   `json:"hash"`
	Arms       []string `json:"arms"`
	RatePerS   float64  `json:"rate_per_s"`
	Replicates int      `json:"replicates"`
	ReplicateS float64  `json:"replicate_s"`
	WarmupS    float64  `json:"warmup_s"`
	WindowS    float64  `json:"window_s"`
	KeepAwake  bool     `json:"keep_awake"`
	OneCore    bool     `json:"one_core"`
	KeepAlive  bool     `json:"keep_alive"`
	Client     string   `json:"client"`
	// Sizes of the bodies; 0 is a GET, and the app's own response.
	RequestBytes  int `json:"request_bytes,omitempty"`
	ResponseBytes int `json:"response_bytes,omitempty"`
	// What the lab did beyond the templates; "" is as they have it.
	AppProtocol  string `json:"app_protocol,omitempty"`  // of every endpoint
	AccessLog    string `json:"access_log,omitempty"`    // of every agent: "TEXT", "JSON" or "OFF"
	EnvoyWorkers int    `json:"envoy_workers,omitempty"` // of each Envoy
}

// DesignSummaries is the Plan.Design of a comparison of k6's summaries, which hold
// no single requests and so no quantiles of an arm.
const DesignSummaries = "summaries"

// Arm is one arm's latencies and proof.
type Arm struct {
	Name     string    `json:"name"`
	TwinOf   string    `json:"twin_of,omitempty"`
	Path     string    `json:"path"` // "client → alb → agent → app"
	Requests int64     `json:"requests"`
	Failed   int64     `json:"failed"`
	Dropped  int64     `json:"dropped"`
	Latency  LatencyUs `json:"latency_us"`
	Evidence Evidence  `json:"evidence"`
}

// LatencyUs holds quantiles of successful requests in microseconds; zero requests
// leave all fields 0, and so do k6's summaries, which hold none.
type LatencyUs struct {
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// Evidence counts requests by the number of agent hops that was proved for them.
type Evidence struct {
	AgentHops      map[string]int64 `json:"agent_hops"`
	Contradictions int64            `json:"contradictions"`
	// Headers is what the responses of an arm at an address that hoplab did not
	// start had to say ("server = envoy", "no via"), and Held counts those that did.
	Headers []string `json:"headers,omitempty"`
	Held    int64    `json:"held,omitempty"`
	// Missing counts successful requests that carried no proof at all.
	Missing int64 `json:"missing"`
	// By says which evidence was used, e.g. "response headers", "peer address", "agent counters".
	By []string `json:"by"`
	// AgentCounter is what the arm's server agent counted itself over the run, health checks apart; -1 when not read.
	AgentCounter int64 `json:"agent_counter"`
	// ResponseBytes is the median size of a response on the wire, without the evidence headers.
	ResponseBytes int `json:"response_bytes"`
}

// Difference is one arm minus another at one quantile.
type Difference struct {
	Of         string  `json:"of"` // "agent - bypass"
	Quantile   float64 `json:"quantile"`
	EstimateUs float64 `json:"estimate_us"`
	LowUs      float64 `json:"low_us"`
	HighUs     float64 `json:"high_us"`
	// Level is the interval's confidence level; 0 when there is no interval (one
	// replicate with too few windows), and LowUs and HighUs equal EstimateUs.
	Level      float64 `json:"level"`
	Replicates int     `json:"replicates"`
	Windows    int     `json:"windows"`
	Voided     int     `json:"voided_windows"`
	Method     string  `json:"method"`
	// The interval that the windows of all replicates give when replicates are
	// taken for granted: narrower, and blind to each start's own offset.
	WithinLowUs  float64 `json:"within_low_us"`
	WithinHighUs float64 `json:"within_high_us"`
	// BetweenUs is the standard deviation of the replicates' estimates, as far as
	// it is not explained by the windows within them.
	BetweenUs float64 `json:"between_us"`
	// P is the two-sided sign-flip p-value over replicates: it assumes next to
	// nothing, and cannot fall below 2/2^replicates. PHolm is Holm's adjustment,
	// over the quantiles, of the p-value that belongs to the interval.
	// Both are nil where nothing was tested, as with one replicate.
	P     *float64 `json:"p,omitempty"`
	PHolm *float64 `json:"p_holm,omitempty"`
	// Blocks of BlockS seconds are the sample behind the interval of requests that
	// hoplab did not send; 0 where replicates are.
	Blocks int     `json:"blocks,omitempty"`
	BlockS float64 `json:"block_s,omitempty"`
	// Verdict of this line: "different" or "cannot_tell".
	Verdict  string    `json:"verdict"`
	Warnings []Warning `json:"warnings,omitempty"`
}

// Quantity is something other than a quantile, of one arm and of another.
type Quantity struct {
	Of   string `json:"of"`   // "agent - bypass"
	What string `json:"what"` // "mean", "above 5 ms", "failed: 504, connect timeout", "requests per minute"
	// Unit is "us", "share" (of requests, 0 to 1) or "count".
	Unit string `json:"unit"`
	// A and B are the two arms' own figures; nil when one is not known.
	A *float64 `json:"a,omitempty"`
	B *float64 `json:"b,omitempty"`
	// Estimate is A - B, with Low and High its interval at Level; all 0 at Level 0,
	// which means that there is no interval.
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Level    float64 `json:"level"`
	Verdict  string  `json:"verdict"` // "different" or "cannot_tell"
}

// Units of a Quantity.
const (
	UnitUs    = "us"
	UnitShare = "share"
	UnitCount = "count"
)

// BudgetResult is one budget's verdict: within, over or cannot_tell.
type BudgetResult struct {
	Budget string `json:"budget"`
	// Quantile is 0 for a budget on a mean or a share; a share's numbers are
	// millionths of the requests, although the fields' names end in us.
	Quantile   float64 `json:"quantile"`
	LimitUs    float64 `json:"limit_us"`
	EstimateUs float64 `json:"estimate_us"`
	LowUs      float64 `json:"low_us"`
	HighUs     float64 `json:"high_us"`
	Verdict    string  `json:"verdict"`
}

// Ledger splits the p50 of the longest path into its parts; the parts and the remainder add up to TotalUs.
type Ledger struct {
	Arm         string        `json:"arm"`
	Quantile    float64       `json:"quantile"`
	TotalUs     float64       `json:"total_us"`
	Entries     []LedgerEntry `json:"entries"`
	RemainderUs float64       `json:"remainder_us"`
}

// LedgerEntry is one part, and how it was found ("agent - bypass", "app log").
type LedgerEntry struct {
	Part string  `json:"part"`
	Us   float64 `json:"us"`
	By   string  `json:"by"`
}

// Contradiction is evidence against the plan.
type Contradiction struct {
	Arm       string `json:"arm"`
	Replicate int    `json:"replicate"`
	Requests  int64  `json:"requests"`
	Text      string `json:"text"`
}

// Partial says how far a broken run came.
type Partial struct {
	Replicates int    `json:"replicates"` // complete ones
	Planned    int    `json:"planned"`
	Why        string `json:"why"`
	Resume     string `json:"resume,omitempty"` // the command that finishes it
}

// Warning weakens a number. About names it: "run", "p99", "agent", "agent - bypass p99".
type Warning struct {
	Code  string `json:"code"` // stable, e.g. "few-tail-samples", "late-sends", "steal"
	About string `json:"about"`
	Text  string `json:"text"`
}

// Detail is what pictures need beyond the summary.
type Detail struct {
	Curves     []Curve      // latency distribution of each arm
	Difference []CurvePoint // the primary difference from p1 to p99.9
	Windows    []Window     // the primary difference at p50, each window
	Replicates []Replicate
	Paths      []Path
	Machine    []KeyValue // machine and versions, in reading order
	Method     string     // one paragraph
	Repeat     string     // the command that repeats the run
	Render     string     // the command that renders it again
	NotShown   []string   // what this does not show
	Primary    string     // the Of of the primary difference
}

// KeyValue is a labelled fact.
type KeyValue struct{ Key, Value string }

// Curve is a cumulative distribution.
type Curve struct {
	Arm    string
	Points []QuantileUs // ascending
}

// QuantileUs is a quantile of a distribution, µs.
type QuantileUs struct{ Q, Us float64 }

// CurvePoint is a difference at one quantile with its interval and the A/A
// interval there, µs; AAHalfUs is 0 when there was no twin.
type CurvePoint struct{ Q, EstimateUs, LowUs, HighUs, AAHalfUs float64 }

// Window is one window's difference at the median.
type Window struct {
	Replicate, Index int
	DiffUs           float64
	Void             string  // "" or the reason it does not count
	Busy, Steal      float64 // CPU shares in [0,1]; -1 when not known
}

// Replicate is one start of everything.
type Replicate struct {
	Index   int
	DiffUs  float64 // at the median
	Missing string  // "" or why it does not count
	Note    string  // e.g. start order and ports
}

// Path is one arm's way, box by box.
type Path struct {
	Arm   string
	Boxes []Box
}

// Box is a stop on a path: who, the ports there, and how many requests proved it.
type Box struct {
	Name   string // "client", "alb", "agent", "app"
	Ports  string // "client port 80", "container port 80"
	Proved int64
	By     string
}
