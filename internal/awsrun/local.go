package awsrun

import (
	"strconv"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// What an answer of hoplab cloud is known by: the account, which nobody has in
// AWS but other local endpoints do, too, and a header with its pace, such as
// "period=5s scale=20".
const (
	localAccount = "000000000000"
	localHeader  = "Hoplab-Cloud"
)

// local is what hoplab cloud says of itself.
type local struct {
	period time.Duration // the shortest for which it keeps sums
	scale  float64       // how many times faster than real the lab's timers run
}

// localOf reads from an answer whether hoplab cloud gave it; nil when AWS or
// another endpoint did.
func localOf(account string, m middleware.Metadata) *local {
	r, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response)
	if !ok || account != localAccount || r.Header.Get(localHeader) == "" {
		return nil
	}
	l := &local{period: time.Minute, scale: 1}
	for _, f := range strings.Fields(r.Header.Get(localHeader)) {
		name, value, _ := strings.Cut(f, "=")
		switch name {
		case "period":
			if d, err := time.ParseDuration(value); err == nil && d >= time.Second && d <= time.Minute {
				l.period = d
			}
		case "scale":
			if n, err := strconv.ParseFloat(value, 64); err == nil && n >= 1 {
				l.scale = n
			}
		}
	}
	return l
}

// pace is how a run waits for hoplab cloud: its counters are there at once, and
// only the first load task waits, for k6 to be built.
func (l *local) pace() Pace {
	return Pace{Poll: 200 * time.Millisecond, Period: l.period, Settle: time.Second, Metrics: 6 * l.period, Start: pace.Start, Over: pace.Over}
}

// Local reports whether the deployment runs in the lab, through hoplab cloud.
func (s *Site) Local() bool { return s.s.local != nil }

// Pace is how a run on the deployment waits.
func (s *Site) Pace() Pace {
	p := Real()
	if s.Local() {
		p = s.s.local.pace()
	}
	if s.s.loan != nil {
		return loanPace(p)
	}
	return p
}
