package cli

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/plan"
)

// planFlags are the flags that describe an experiment; run and plan share them.
type planFlags struct {
	profile    string
	arms       []string
	target     string
	fabric     string
	agent      string
	client     string
	seed       uint64
	rate       float64
	replicates int
	duration   time.Duration
	warmup     time.Duration
	window     time.Duration
	generators int
	noTwin     bool
	noAwake    bool
	noReuse    bool
	request    string
	response   string
	protocol   string
	accessLog  string
	workers    int
	budgets    []string
	level      float64
	stopAt     string
	// endpoints replace the arms, for addresses that hoplab did not start.
	endpoints []plan.Arm
}

func (f *planFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.profile, "profile", plan.ProfileStandard, "standard, quick, or article (the seed article's design, with its faults)")
	fl.StringSliceVar(&f.arms, "arms", nil, "arms to compare: agent, bypass, mesh, mesh-tls, direct (default agent,bypass)")
	fl.StringVar(&f.target, "target", plan.TargetLab, "lab or aws; --arm takes any address")
	fl.StringVar(&f.fabric, "fabric", plan.FabricLoopback, "the lab's network: loopback or netns")
	fl.StringVar(&f.agent, "agent", "", "what runs as the agents: envoy, or lab, the lab's own (default envoy where one can be had)")
	fl.StringVar(&f.client, "client", "", "who sends: native (lean) or http (k6/http); default from the profile")
	fl.Uint64Var(&f.seed, "seed", 0, "seed of everything random (default: drawn, and recorded in the plan)")
	fl.Float64Var(&f.rate, "rate", 0, "requests per second over all arms")
	fl.IntVar(&f.replicates, "replicates", 0, "starts of everything; the sample behind the headline interval")
	fl.DurationVar(&f.duration, "duration", 0, "measured time of one replicate, e.g. 10s")
	fl.DurationVar(&f.warmup, "warmup", 0, "time before it that is sent and not measured")
	fl.DurationVar(&f.window, "window", 0, "length of a window, e.g. 2s")
	fl.IntVar(&f.generators, "generators", 1, "load processes of a replicate (above 1 only with --target aws)")
	fl.BoolVar(&f.noTwin, "no-aa", false, "leave out the A/A twin; the noise floor is then not known")
	fl.BoolVar(&f.noAwake, "as-deployed", false, "let cores sleep between requests, as they do in production, instead of keeping them awake")
	fl.BoolVar(&f.noReuse, "no-keep-alive", false, "send every request on a new connection")
	fl.StringVar(&f.request, "request-body", "", "POST a body of this size instead of GET, e.g. 1k or 16k (k is 1024 bytes)")
	fl.StringVar(&f.response, "response-body", "", "size of the app's response body, e.g. 1k or 16k (default its own, 11 bytes)")
	fl.StringVar(&f.protocol, "app-protocol", "",
		"appProtocol of every endpoint: http, or http2 for HTTP/2 between agents and to the app (default the templates')")
	fl.StringVar(&f.accessLog, "access-log", "", "access log of every agent: text, json or off (default the templates')")
	fl.IntVar(&f.workers, "envoy-workers", lab.AgentWorkers, "worker threads of each Envoy; AWS's agent has 2")
	fl.StringArrayVar(&f.budgets, "budget", nil, `a limit on the difference, e.g. 'p99 <= +2ms' (may repeat)`)
	fl.Float64Var(&f.level, "level", 0, "confidence level (default 0.95)")
	fl.StringVar(&f.stopAt, "stop-at", "", "end early once an interval is narrow enough, e.g. 'p50 5us'; planned looks keep the level")
}

// plan makes the plan that the flags ask for.
func (f *planFlags) plan(cmd *cobra.Command, draw func() uint64) (plan.Plan, error) {
	p, err := plan.New(f.profile)
	if err != nil {
		return p, err
	}
	set := cmd.Flags().Changed
	p.Target, p.Seed = f.target, f.seed
	if !set("seed") {
		p.Seed = draw()
	}
	if err := f.place(&p, set); err != nil {
		return p, err
	}
	if p.RequestBytes, err = parseBody("request-body", f.request); err != nil {
		return p, err
	}
	if p.ResponseBytes, err = parseBody("response-body", f.response); err != nil {
		return p, err
	}
	p.AppProtocol, p.AccessLog = f.protocol, strings.ToUpper(f.accessLog)
	custom := slices.ContainsFunc([]string{"request-body", "response-body", "app-protocol", "access-log", "envoy-workers"}, set)
	custom = f.design(&p, set) || custom
	if set("arms") || set("no-aa") && p.Target != plan.TargetEndpoints {
		names := f.arms
		if !set("arms") {
			names = []string{plan.ArmAgent, plan.ArmBypass}
		}
		if err := p.SetArms(names, !f.noTwin && p.Design == plan.DesignRandom); err != nil {
			return p, err
		}
		custom = true
	}
	if err := f.claims(&p); err != nil {
		return p, err
	}
	if custom || p.StopAt != nil {
		p.Profile = plan.ProfileCustom
	}
	if p.Target == plan.TargetLab && p.Generators > 1 {
		return p, fail.Newf(fail.Usage, "leave --generators out, or add --target aws", "--generators %d: the lab has one load generator", p.Generators)
	}
	return p, p.Validate()
}

// place says where the plan runs, and with which agents.
func (f *planFlags) place(p *plan.Plan, set func(flag string) bool) (err error) {
	p.Fabric = f.fabric
	switch p.Target {
	case plan.TargetAWS:
		if set("fabric") {
			return fail.Newf(fail.Usage, "leave --fabric out", "--fabric %s: the target aws has its own network", f.fabric)
		}
		if set("agent") {
			return fail.Newf(fail.Usage, "leave --agent out", "--agent %s: the target aws has its own agents", f.agent)
		}
		p.ForAWS()
		if set("envoy-workers") {
			p.EnvoyWorkers = f.workers // Validate refuses it
		}
	case plan.TargetEndpoints:
		p.ForEndpoints()
		p.SetEndpoints(f.endpoints, !f.noTwin)
	default:
		if p.Agent, err = f.chooseAgent(set("agent")); err != nil {
			return err
		}
		if p.Agent == plan.AgentEnvoy || set("envoy-workers") {
			p.EnvoyWorkers = f.workers
		}
	}
	return nil
}

// design puts single values in the place of the profile's, and reports whether
// there are any.
func (f *planFlags) design(p *plan.Plan, set func(flag string) bool) (custom bool) {
	for _, c := range []struct {
		flag  string
		apply func()
	}{
		{"client", func() { p.Client = f.client }},
		{"rate", func() { p.RatePerS = f.rate }},
		{"replicates", func() { p.Replicates = f.replicates }},
		{"duration", func() { p.ReplicateS = f.duration.Seconds() }},
		{"warmup", func() { p.WarmupS = f.warmup.Seconds() }},
		{"window", func() { p.WindowS = f.window.Seconds() }},
		{"generators", func() { p.Generators = f.generators }},
		{"as-deployed", func() { p.KeepAwake, p.OneCore = p.KeepAwake && !f.noAwake, p.OneCore && !f.noAwake }},
		{"no-keep-alive", func() { p.KeepAlive = !f.noReuse }},
		{"level", func() { p.Level = f.level }},
	} {
		if set(c.flag) {
			c.apply()
			custom = true
		}
	}
	return custom
}

// claims adds the budgets, and the interval at which the run may stop.
func (f *planFlags) claims(p *plan.Plan) (err error) {
	for _, b := range f.budgets {
		if err := p.AddBudget(b); err != nil {
			return err
		}
	}
	if f.stopAt == "" {
		return nil
	}
	if p.StopAt, err = parseStop(f.stopAt); err != nil {
		return err
	}
	p.StopAt.MinimumReps = min(p.StopAt.MinimumReps, p.Replicates)
	p.AddQuantile(p.StopAt.Quantile)
	return nil
}

// chooseAgent is the agent that was asked for, else Envoy.
func (f *planFlags) chooseAgent(asked bool) (string, error) {
	if !asked {
		return plan.AgentEnvoy, nil
	}
	return f.agent, oneOf("agent", f.agent, plan.AgentEnvoy, plan.AgentLab)
}

var bodySize = regexp.MustCompile(`^([0-9]{1,9})(k|K|KiB|m|M|MiB|)$`)

// parseBody reads the size of a body: "16k", "1m" or bytes. It is 0 for "".
func parseBody(flag, text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	m := bodySize.FindStringSubmatch(text)
	if m == nil {
		return 0, fail.Newf(fail.Usage, "write e.g. --"+flag+" 16k",
			"--%s %q: expected a number of bytes, or of 1024 bytes with a k", flag, text)
	}
	n, _ := strconv.Atoi(m[1]) // digits, as the pattern has it
	switch strings.ToLower(m[2][:min(1, len(m[2]))]) {
	case "k":
		n <<= 10
	case "m":
		n <<= 20
	}
	if n == 0 || n > plan.MaxBodyBytes {
		return 0, fail.Newf(fail.Usage, "leave --"+flag+" out for none of a size of its own",
			"--%s %q: expected 1 byte to %d", flag, text, plan.MaxBodyBytes)
	}
	return n, nil
}

// parseStop reads "p50 5us": a quantile and the half-width to reach.
func parseStop(text string) (*plan.Stop, error) {
	bad := func(why string) error {
		return fail.Newf(fail.Usage, "write e.g. --stop-at 'p50 5us'", "--stop-at %q: %s", text, why)
	}
	name, width, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		return nil, bad("expected a quantile and a half-width")
	}
	d, err := time.ParseDuration(strings.TrimSpace(width))
	if err != nil || d <= 0 {
		return nil, bad("the half-width is not a duration above zero")
	}
	b, err := plan.ParseBudget(name + " <= +1ms") // the same notation of a quantile
	if err != nil {
		return nil, bad("unknown quantile " + name)
	}
	return &plan.Stop{Quantile: b.Quantile, HalfWidthUs: float64(d.Nanoseconds()) / 1000, MinimumReps: 6}, nil
}
