package plan

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// Bounds of a plan. They catch slips of the keyboard, not ambitious plans.
const (
	MaxRatePerS   = 1e6
	MaxReplicates = 10_000
	MaxSeconds    = 7 * 24 * 3600
	MaxVUs        = 1_000_000
	// MinWindowS and MaxWindowS bound a window: shorter ones hold too few
	// requests, and drift moves inside longer ones.
	MinWindowS = 0.1
	MaxWindowS = 60
	// MaxBodyBytes is the most that a body may have: a load that is about hops
	// and not about links.
	MaxBodyBytes = 1 << 20
	// MaxEnvoyWorkers is far more than a hop needs.
	MaxEnvoyWorkers = 64
)

// Validate says what is wrong with the plan: the field, its value, what was
// expected and the next step. The error carries fail.Usage.
func (p *Plan) Validate() error {
	for _, check := range []func() error{
		p.checkWords, p.checkDeployed, p.checkNumbers, p.checkArms, p.checkEndpoints, p.checkDesign, p.checkQuantiles, p.checkStop,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func wrong(hint, format string, args ...any) error {
	return fail.Newf(fail.Usage, hint, "plan: "+format, args...)
}

func (p *Plan) checkWords() error {
	if p.Schema != Schema {
		return wrong("use the hoplab version that wrote it", "schema %q: expected %q", p.Schema, Schema)
	}
	for _, c := range []struct {
		field, value string
		words        []string
		hint         string
	}{
		{"profile", p.Profile, append(Profiles(), ProfileCustom), "--profile sets it"},
		{"target", p.Target, []string{TargetLab, TargetAWS, TargetEndpoints}, "--target sets it"},
		{"design", p.Design, []string{DesignRandom, DesignBlocks, DesignArticle}, ""},
		{"client", p.Client, []string{"native", "http"}, "--client sets it"},
	} {
		if !slices.Contains(c.words, c.value) {
			return wrong(c.hint, "%s %q: expected %s", c.field, c.value, strings.Join(c.words, ", "))
		}
	}
	brings := map[string]string{TargetAWS: "AWS brings its", TargetEndpoints: "endpoints have their"}[p.Target]
	switch {
	case p.Target == TargetLab && p.Fabric != FabricLoopback && p.Fabric != FabricNetns:
		return wrong("--fabric sets it", "fabric %q: expected %s or %s on the lab", p.Fabric, FabricLoopback, FabricNetns)
	case p.Agent != "" && p.Agent != AgentEnvoy && p.Agent != AgentLab:
		return wrong("--agent sets it", "agent %q: expected %s or %s", p.Agent, AgentEnvoy, AgentLab)
	case p.Target != TargetLab && p.Agent != "":
		return wrong("leave the agent out with target "+p.Target, "agent %q: %s own", p.Agent, brings)
	case p.Target != TargetLab && p.Fabric != "" && p.Fabric != FabricCloud && !(p.Target == TargetEndpoints && p.Fabric == FabricTask):
		return wrong("leave the fabric out with target "+p.Target, "fabric %q: %s own network", p.Fabric, brings)
	}
	return nil
}

// checkDeployed checks what the lab does beyond the templates. What is deployed
// in AWS is as it is.
func (p *Plan) checkDeployed() error {
	for _, c := range []struct {
		field, value string
		words        []string
		hint         string
	}{
		{"app_protocol", p.AppProtocol, []string{"http", "http2"}, "--app-protocol sets it"},
		{"access_log", p.AccessLog, []string{"TEXT", "JSON", AccessLogOff}, "--access-log sets it"},
	} {
		if c.value != "" && !slices.Contains(c.words, c.value) {
			return wrong(c.hint, "%s %q: expected %s", c.field, c.value, strings.Join(c.words, ", "))
		}
	}
	switch {
	case p.EnvoyWorkers != 0 && p.LabAgent():
		return wrong("leave --envoy-workers or --agent lab out", "envoy_workers %d: the agents are not Envoy", p.EnvoyWorkers)
	case p.Target != TargetLab && (p.ResponseBytes != 0 || p.AppProtocol != "" || p.AccessLog != "" || p.EnvoyWorkers != 0):
		return wrong("deploy other templates, or leave --response-body, --app-protocol, --access-log and --envoy-workers out",
			"target %s: the app and the agents are as they were deployed", p.Target)
	}
	return nil
}

func (p *Plan) checkNumbers() error {
	for _, c := range []struct {
		field    string
		value    float64
		min, max float64
		hint     string
	}{
		{"rate_per_s", p.RatePerS, 0.1, MaxRatePerS, "--rate sets it"},
		{"replicates", float64(p.Replicates), 1, MaxReplicates, "--replicates sets it"},
		{"replicate_s", p.ReplicateS, MinWindowS, MaxSeconds, "--duration sets it"},
		{"warmup_s", p.WarmupS, 0, MaxSeconds, "--warmup sets it"},
		{"window_s", p.WindowS, MinWindowS, MaxWindowS, "--window sets it"},
		{"request_bytes", float64(p.RequestBytes), 0, MaxBodyBytes, "--request-body sets it"},
		{"response_bytes", float64(p.ResponseBytes), 0, MaxBodyBytes, "--response-body sets it"},
		{"envoy_workers", float64(p.EnvoyWorkers), 0, MaxEnvoyWorkers, "--envoy-workers sets it"},
		{"vus", float64(p.VUs), 1, MaxVUs, ""},
		{"timeout_s", p.TimeoutS, 0.001, 3600, ""},
		{"generators", float64(p.Generators), 1, 1000, "--generators sets it"},
		{"level", p.Level, 0.5, 0.9999, "--level sets it; 0.95 is 95 %"},
	} {
		if math.IsNaN(c.value) || c.value < c.min || c.value > c.max {
			return wrong(c.hint, "%s %s: expected %s to %s", c.field, plain(c.value), plain(c.min), plain(c.max))
		}
	}
	if p.WindowS > p.ReplicateS {
		return wrong("make --window shorter or --duration longer", "window_s %v: longer than the replicate (%v s)", p.WindowS, p.ReplicateS)
	}
	if s := p.Seconds(); s > MaxSeconds {
		return wrong("lower --replicates or --duration", "the load would last %.0f s; the limit is %d s", s, MaxSeconds)
	}
	return nil
}

// plain writes a number without an exponent.
func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (p *Plan) checkArms() error {
	if len(p.Arms) < 2 {
		return wrong("name two or more of "+strings.Join(ArmNames(), ", "), "%d arm(s): a comparison needs two", len(p.Arms))
	}
	seen := map[string]bool{}
	twins, plain := 0, 0
	for _, a := range p.Arms {
		switch {
		case a.Name == "" || strings.TrimSpace(a.Name) != a.Name:
			return wrong("", "arm name %q: expected a word", a.Name)
		case seen[a.Name]:
			return wrong("name each arm once", "arm %q occurs twice", a.Name)
		case !(a.Weight > 0) || math.IsInf(a.Weight, 0):
			return wrong("leave the arm out instead", "arm %q: weight %v: expected more than 0", a.Name, a.Weight)
		case a.Name == ArmMeshTLS && p.Target == TargetAWS:
			return wrong("leave the arm out, or measure it on the lab",
				"arm %q: TLS between agents takes a private CA in AWS, which no stack here makes", a.Name)
		case a.Expect.AgentHops < 0 || a.Expect.AgentHops > 2 || (a.Expect.AgentHeaders != 0) != (a.Expect.AgentHops > 0):
			return wrong("", "arm %q: %d agent hop(s) and agent headers %d contradict each other", a.Name, a.Expect.AgentHops, a.Expect.AgentHeaders)
		}
		seen[a.Name] = true
		if a.TwinOf == "" {
			plain++
			continue
		}
		twins++
		if i := p.ArmIndex(a.TwinOf); i < 0 || p.Arms[i].TwinOf != "" {
			return wrong("", "arm %q is the twin of %q, which is no arm of the plan", a.Name, a.TwinOf)
		}
	}
	if twins > 1 {
		return wrong("keep one twin, of the baseline", "%d A/A twins: expected at most one", twins)
	}
	if t := p.TwinIndex(); t >= 0 && p.Arms[t].TwinOf != p.Arms[p.Baseline()].Name {
		return wrong("", "arm %q is the twin of %q; expected the baseline %q", p.Arms[t].Name, p.Arms[t].TwinOf, p.Arms[p.Baseline()].Name)
	}
	if plain < 2 && twins == 0 {
		return wrong("", "one arm: a comparison needs two")
	}
	return nil
}

func (p *Plan) checkDesign() error {
	if p.Design == DesignBlocks && p.ReplicateS < 2*p.WindowS*float64(len(p.Arms)) {
		return wrong("make replicate_s longer or window_s shorter", "design blocks: %v s hold fewer than two blocks of %v s for each of %d arms",
			p.ReplicateS, p.WindowS, len(p.Arms))
	}
	if p.Design == DesignArticle && p.Generators != 1 {
		return wrong("use design random", "design article: %d load generators; the article had one", p.Generators)
	}
	return nil
}

func (p *Plan) checkQuantiles() error {
	if len(p.Quantiles) == 0 {
		return wrong("", "no quantiles: expected at least one, such as 0.5")
	}
	last := 0.0
	for _, q := range p.Quantiles {
		if !(q > 0 && q < 1) {
			return wrong("p50 is 0.5", "quantile %v: expected more than 0 and less than 1", q)
		}
		if q <= last {
			return wrong("", "quantiles %v: expected ascending, each once", p.Quantiles)
		}
		last = q
	}
	for _, b := range p.Budgets {
		if !slices.Contains(p.Quantiles, b.Quantile) {
			return wrong("add the quantile to the plan", "budget %q: %s is not among the reported quantiles", b.Text, QuantileName(b.Quantile))
		}
		if math.IsNaN(b.LimitUs) || math.IsInf(b.LimitUs, 0) {
			return wrong("", "budget %q: limit %v is no number of microseconds", b.Text, b.LimitUs)
		}
	}
	return nil
}

func (p *Plan) checkStop() error {
	s := p.StopAt
	if s == nil {
		return nil
	}
	switch {
	case p.Design == DesignArticle:
		return wrong("leave stop_at out", "design article has one replicate and cannot stop early")
	case !slices.Contains(p.Quantiles, s.Quantile):
		return wrong("add the quantile to the plan", "stop_at: %s is not among the reported quantiles", QuantileName(s.Quantile))
	case !(s.HalfWidthUs > 0) || math.IsInf(s.HalfWidthUs, 0):
		return wrong("", "stop_at: half_width_us %v: expected more than 0", s.HalfWidthUs)
	case p.Replicates < 3:
		return wrong("raise --replicates, or leave --stop-at out", "stop_at: %d replicate(s): a run that may end early needs 3 or more", p.Replicates)
	case s.MinimumReps < 3 || s.MinimumReps > p.Replicates:
		return wrong("", "stop_at: minimum_replicates %d: expected 3 to %d (replicates)", s.MinimumReps, p.Replicates)
	}
	return nil
}
