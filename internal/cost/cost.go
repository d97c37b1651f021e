// Package cost estimates what a deployment and a run cost, from a dated price
// table. It counts what a topology holds and multiplies; it asks nobody.
package cost

import (
	"fmt"
	"sort"

	"github.com/hoplab/hoplab/internal/topology"
)

// HoursPerMonth is AWS's own month: 365 days of 24 hours, divided by 12.
const HoursPerMonth = 730

// Prices are US dollars, before tax, discounts and free tiers.
type Prices struct {
	Region string
	// Dated is the month of the youngest comparison with a source.
	Dated string
	// Sources are where the figures can be read.
	Sources []string

	FargateVCPUHour float64 // Linux, x86
	FargateGBHour   float64
	NATGatewayHour  float64
	NATGatewayGB    float64
	ALBHour         float64
	LCUHour         float64 // 25 new connections/s, 3000 active, 1 GB/h or 1000 rules/s, whichever is most
	PublicIPv4Hour  float64
	LogsGB          float64 // CloudWatch Logs, ingestion
	MetricMonth     float64 // CloudWatch, per custom metric
	S3PutThousand   float64
	StateTransition float64 // Step Functions standard workflow, each
}

// USEast1 is the on-demand list price of US East (N. Virginia). The prices of
// Fargate, ALB, NAT gateway and public IPv4 addresses were compared with guides
// of February to June 2026 that quote the price pages; those of CloudWatch, S3
// and Step Functions are the list prices as published before, not read again.
var USEast1 = Prices{
	Region: "us-east-1",
	Dated:  "2026-06",
	Sources: []string{
		"https://aws.amazon.com/fargate/pricing/",
		"https://aws.amazon.com/vpc/pricing/",
		"https://aws.amazon.com/elasticloadbalancing/pricing/",
		"https://aws.amazon.com/cloudwatch/pricing/",
		"https://aws.amazon.com/s3/pricing/",
		"https://aws.amazon.com/step-functions/pricing/",
	},
	FargateVCPUHour: 0.04048,
	FargateGBHour:   0.004445,
	NATGatewayHour:  0.045,
	NATGatewayGB:    0.045,
	ALBHour:         0.0225,
	LCUHour:         0.008,
	PublicIPv4Hour:  0.005,
	LogsGB:          0.50,
	MetricMonth:     0.30,
	S3PutThousand:   0.005,
	StateTransition: 0.000025,
}

// Line is one position of an estimate.
type Line struct {
	What  string  `json:"what"`
	Count float64 `json:"count"`
	Unit  string  `json:"unit"`
	USD   float64 `json:"usd"` // per what the estimate is per
}

// Estimate is a sum of lines, per hour or per run, and what it leaves out.
type Estimate struct {
	Region  string   `json:"region"`
	Dated   string   `json:"prices_dated"`
	Lines   []Line   `json:"lines"`
	USD     float64  `json:"usd"`
	Per     string   `json:"per"` // "hour" or "run"
	Without []string `json:"without"`
	Sources []string `json:"sources"`
}

// Deployed estimates what a deployment costs per hour while nobody calls it.
// Tasks count with their task size and desired count; a value that the
// template does not settle is left out and named in Without.
func Deployed(t *topology.Topology, p Prices) Estimate {
	e := Estimate{Region: p.Region, Dated: p.Dated, Sources: p.Sources, Per: "hour"}
	add := func(what string, count float64, unit string, each float64) {
		if count > 0 {
			e.Lines = append(e.Lines, Line{What: what, Count: count, Unit: unit, USD: count * each})
			e.USD += count * each
		}
	}
	for _, s := range t.Services {
		n := float64(s.DesiredCount.Or(1))
		vcpu, gb, why := taskSize(s.Task)
		if why != "" || s.DesiredCount.IsUnknown() {
			e.Without = append(e.Without, fmt.Sprintf("tasks of %s: their size or number is not in the template", s.ID))
			continue
		}
		add("tasks of "+string(s.ID), n, fmt.Sprintf("tasks of %g vCPU and %g GB", vcpu, gb), vcpu*p.FargateVCPUHour+gb*p.FargateGBHour)
	}
	albs := 0
	for _, lb := range t.LoadBalancers {
		if lb.Kind == "application" {
			albs++
		}
	}
	add("application load balancers", float64(albs), "load balancers", p.ALBHour)
	nat := t.Ignored["AWS::EC2::NatGateway"] + t.Ignored["aws_nat_gateway"]
	add("NAT gateways", float64(nat), "gateways", p.NATGatewayHour)
	add("public IPv4 addresses", float64(t.Ignored["AWS::EC2::EIP"]+t.Ignored["aws_eip"]), "addresses", p.PublicIPv4Hour)
	e.Without = append(e.Without, "traffic (load balancer capacity units, NAT and cross-zone bytes)", "CloudWatch metrics and logs", "tax, discounts and free tiers")
	sort.SliceStable(e.Lines, func(i, j int) bool { return e.Lines[i].USD > e.Lines[j].USD })
	return e
}

func taskSize(t *topology.TaskDefinition) (vcpu, gb float64, why string) {
	if t == nil {
		return 0, 0, "the task definition is not in the source"
	}
	cpu, ok := t.CPU.Get()
	mem, okm := t.MemoryMiB.Get()
	if !ok || !okm {
		return 0, 0, "the task size is not settled"
	}
	return float64(cpu) / 1024, float64(mem) / 1024, ""
}

// The room that AWS advises to add to each task for the Service Connect agent:
// 256 CPU units and 64 MiB (section 4 of the semantics).
const (
	AgentCPUUnits  = 256
	AgentMemoryMiB = 64
)

// AgentMonth is what that room costs per task and month.
func AgentMonth(p Prices) float64 {
	return HoursPerMonth * (AgentCPUUnits/1024.0*p.FargateVCPUHour + AgentMemoryMiB/1024.0*p.FargateGBHour)
}

// LoadTask is the size of one load task.
type LoadTask struct {
	VCPU, GB float64
}

// Run estimates what a run adds on top of the deployment: the load tasks, for
// seconds each (one minute at least, Fargate's minimum), the load balancer's
// capacity units for the rate, and the uploads.
func Run(p Prices, task LoadTask, tasks int, seconds, ratePerS float64) Estimate {
	e := Estimate{Region: p.Region, Dated: p.Dated, Sources: p.Sources, Per: "run",
		Without: []string{"the deployment itself (hoplab cost)", "cross-zone bytes and logs", "tax, discounts and free tiers"}}
	hours := max(seconds, 60) / 3600
	add := func(what string, count float64, unit string, usd float64) {
		e.Lines = append(e.Lines, Line{What: what, Count: count, Unit: unit, USD: usd})
		e.USD += usd
	}
	add("load tasks", float64(tasks), fmt.Sprintf("tasks of %g vCPU and %g GB for %.0f s", task.VCPU, task.GB, max(seconds, 60)),
		float64(tasks)*hours*(task.VCPU*p.FargateVCPUHour+task.GB*p.FargateGBHour))
	// An LCU carries 1 GB per hour; a request and its response of the
	// experiment are about 0.5 kB on the wire.
	lcu := ratePerS * 500 * 3600 / 1e9
	add("load balancer capacity", lcu, "capacity units", lcu*p.LCUHour*float64(tasks)*hours)
	add("uploads", float64(tasks), "objects", float64(tasks)*p.S3PutThousand/1000)
	return e
}
