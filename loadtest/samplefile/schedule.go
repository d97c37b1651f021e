package samplefile

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"time"
)

// The designs of Load.Design.
const (
	DesignRandom  = "random"  // the arm of each request is drawn
	DesignBlocks  = "blocks"  // the arm changes only between windows
	DesignArticle = "article" // a closed loop, one arm after the other
)

// The clients of Load.Client.
const (
	ClientNative = "native" // k6/x/hoplab sends
	ClientHTTP   = "http"   // k6/http sends
)

// ParseLoad reads a Load from JSON and validates it.
func ParseLoad(data []byte) (Load, error) {
	var l Load
	if err := json.Unmarshal(data, &l); err != nil {
		return Load{}, fmt.Errorf("load: %w", err)
	}
	return l, l.Validate()
}

// Validate reports the first field that no load generator could follow.
func (l *Load) Validate() error {
	positive := func(field string, v float64) error {
		if !(v > 0) || math.IsInf(v, 0) {
			return fmt.Errorf("load: %s is %v; it must be a positive number", field, v)
		}
		return nil
	}
	if l.Schema != LoadSchema {
		return fmt.Errorf("load: schema is %q, expected %q", l.Schema, LoadSchema)
	}
	if err := l.validateArms(); err != nil {
		return err
	}
	switch l.Design {
	case DesignRandom, DesignBlocks:
		if err := positive("rate_per_s", l.RatePerS); err != nil {
			return err
		}
		if l.RatePerS > 1e6 {
			return fmt.Errorf("load: rate_per_s is %v; k6 cannot start more than 1000000 iterations a second", l.RatePerS)
		}
	case DesignArticle:
	default:
		return fmt.Errorf("load: design is %q, expected %q, %q or %q", l.Design, DesignRandom, DesignBlocks, DesignArticle)
	}
	if l.Client != ClientNative && l.Client != ClientHTTP {
		return fmt.Errorf("load: client is %q, expected %q or %q", l.Client, ClientNative, ClientHTTP)
	}
	if !(l.WarmupS >= 0) || math.IsInf(l.WarmupS, 0) {
		return fmt.Errorf("load: warmup_s is %v; it must be 0 or more", l.WarmupS)
	}
	for field, v := range map[string]float64{"duration_s": l.DurationS, "window_s": l.WindowS, "timeout_s": l.TimeoutS} {
		if err := positive(field, v); err != nil {
			return err
		}
	}
	if l.RequestBytes < 0 || l.RequestBytes > MaxRequestBytes {
		return fmt.Errorf("load: request_bytes is %d; expected 0 to %d", l.RequestBytes, MaxRequestBytes)
	}
	if err := l.validateRequest(); err != nil {
		return err
	}
	if l.VUs < 1 {
		return fmt.Errorf("load: vus is %d; at least 1 is needed", l.VUs)
	}
	if l.Generators < 1 || l.Generator < 0 || l.Generator >= l.Generators {
		return fmt.Errorf("load: generator %d of %d; generators count from 0", l.Generator, l.Generators)
	}
	return nil
}

func (l *Load) validateArms() error {
	if len(l.Arms) == 0 {
		return fmt.Errorf("load: arms is empty")
	}
	var sum float64
	for i, a := range l.Arms {
		u, err := url.Parse(a.URL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("load: arm %d %q: URL %q is not an absolute http or https URL", i, a.Name, a.URL)
		}
		if err := l.validatePlace(&a); err != nil {
			return fmt.Errorf("load: arm %d %q: %w", i, a.Name, err)
		}
		if !(a.Weight >= 0) || math.IsInf(a.Weight, 0) {
			return fmt.Errorf("load: arm %d %q: weight is %v; it must be 0 or more", i, a.Name, a.Weight)
		}
		sum += a.Weight
	}
	if !(sum > 0) {
		return fmt.Errorf("load: the weights of the arms sum to %v; they must be positive together", sum)
	}
	if l.Design != DesignBlocks {
		return nil
	}
	if len(l.BlockArms) == 0 {
		return fmt.Errorf("load: block_arms is empty, but the design is %q", l.Design)
	}
	for w, a := range l.BlockArms {
		if a < 0 || a >= len(l.Arms) {
			return fmt.Errorf("load: block_arms[%d] is %d; there are %d arms", w, a, len(l.Arms))
		}
	}
	return nil
}

// validatePlace checks where an arm is called from.
func (l *Load) validatePlace(a *LoadArm) error {
	if a.From == "" && a.Namespace == 0 {
		return nil
	}
	place := "from " + a.From
	switch _, err := netip.ParseAddr(a.From); {
	case a.Namespace < 0:
		return fmt.Errorf("namespace %d is not a descriptor", a.Namespace)
	case a.From == "":
		place = fmt.Sprintf("namespace %d", a.Namespace)
	case err != nil:
		return fmt.Errorf("from %q is not an IP address", a.From)
	}
	if _, err := netip.ParseAddrPort(a.Dial); err != nil {
		return fmt.Errorf("%s needs an address and port in dial, not %q", place, a.Dial)
	}
	if l.Client != ClientNative {
		return fmt.Errorf("%s: client %q cannot choose where it calls from; %q can", place, l.Client, ClientNative)
	}
	return nil
}

// Weights returns the weights of the arms, as Draw wants them.
func (l *Load) Weights() []float64 {
	w := make([]float64, len(l.Arms))
	for i, a := range l.Arms {
		w[i] = a.Weight
	}
	return w
}

// Period is the time between two planned starts over all generators: whole
// nanoseconds, rounded down, because that is what k6 schedules. It is 0 for
// the closed loop.
func (l *Load) Period() time.Duration {
	if l.Design == DesignArticle || !(l.RatePerS > 0) {
		return 0
	}
	return time.Duration(float64(time.Second) / l.RatePerS)
}

// Planned is when iteration i should start, counted from the scenario's start.
// In the closed loop nothing is planned ahead: Planned is 0, and a record's
// Late is its start.
func (l *Load) Planned(i int64) time.Duration { return time.Duration(i) * l.Period() }

// Iterations is the number of requests that the load plans over all
// generators; 0 for the closed loop, which sends as many as it can.
func (l *Load) Iterations() int64 {
	p := l.Period()
	if p == 0 {
		return 0
	}
	return int64((l.Total() + p - 1) / p)
}

// Share is the number of those that fall to this generator. Iterations are
// dealt to the generators in turn, as k6 does when each has as many users.
func (l *Load) Share() int64 {
	n, g := int64(max(l.Generators, 1)), int64(l.Generator)
	share := l.Iterations() / n
	if g < l.Iterations()%n {
		share++
	}
	return share
}

// Total is the planned length of the load, warm-up included.
func (l *Load) Total() time.Duration { return Seconds(l.WarmupS) + Seconds(l.DurationS) }

// Start is the moment that decides the window of a record, counted from the
// scenario's start: the planned start, or the actual one in the closed loop.
func (l *Load) Start(r *Record) time.Duration {
	if l.Design == DesignArticle {
		return r.Late
	}
	return l.Planned(r.Iteration)
}

// Window is the index of the window that holds the moment start; -1 for the
// warm-up and for everything after the measured time. The last window is
// shorter when WindowS does not divide DurationS.
func (l *Load) Window(start time.Duration) int {
	since := start - Seconds(l.WarmupS)
	if since < 0 || since >= Seconds(l.DurationS) {
		return -1
	}
	return int(since / Seconds(l.WindowS))
}

// Arm is the index of the arm that iteration i belongs to. In the closed loop
// the scenario decides, and Arm returns -1.
func (l *Load) Arm(i int64) int {
	switch l.Design {
	case DesignRandom:
		return Draw(l.Seed, l.Replicate, i, l.Weights())
	case DesignBlocks:
		w := l.Window(l.Planned(i))
		switch {
		case w < 0 && l.Planned(i) < Seconds(l.WarmupS):
			w = 0 // warm up on the first block's arm
		case w < 0 || w >= len(l.BlockArms):
			w = len(l.BlockArms) - 1
		}
		return l.BlockArms[w]
	}
	return -1
}

// Seconds converts a number of seconds to a Duration, rounded to nanoseconds.
func Seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
