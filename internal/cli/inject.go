package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

// parseInjections reads --inject flags: HOP[:ARM]=DURATION[@SHARE].
func parseInjections(texts []string) ([]experiment.Injection, error) {
	var out []experiment.Injection
	for _, text := range texts {
		in, err := parseInjection(text)
		if err != nil {
			return nil, fail.Newf(fail.Usage, "write e.g. --inject agent=200us or --inject app:bypass=1ms@0.02", "--inject %q: %w", text, err)
		}
		out = append(out, in)
	}
	return out, nil
}

func parseInjection(text string) (in experiment.Injection, err error) {
	where, what, ok := strings.Cut(text, "=")
	if !ok {
		return in, errors.New("expected HOP=DURATION")
	}
	in.Hop, in.Arm, _ = strings.Cut(where, ":")
	if in.Hop != "alb" && in.Hop != "agent" && in.Hop != "app" {
		return in, fmt.Errorf("hop %q: expected alb, agent or app", in.Hop)
	}
	duration, share, some := strings.Cut(what, "@")
	if in.Spin, err = time.ParseDuration(duration); err != nil || in.Spin <= 0 || in.Spin > time.Second {
		return in, fmt.Errorf("delay %q: expected a duration above 0s, up to 1s", duration)
	}
	in.Share = 1
	if some {
		if in.Share, err = strconv.ParseFloat(share, 64); err != nil || !(in.Share > 0 && in.Share <= 1) {
			return in, fmt.Errorf("share %q: expected a number above 0, up to 1", share)
		}
	}
	return in, nil
}

// injectable refuses a delay that no request of the plan would meet.
func injectable(in []experiment.Injection, p *plan.Plan) error {
	for _, i := range in {
		var names []string
		hit := false
		for _, a := range p.Arms {
			names = append(names, a.Name)
			hit = hit || (i.Arm == "" || i.Arm == a.Name) && slices.Contains(a.Path, i.Hop)
		}
		if i.Arm != "" && !slices.Contains(names, i.Arm) {
			return fail.Newf(fail.Usage, "choose from "+strings.Join(names, ", "), "--inject %s:%s: the plan has no arm %q", i.Hop, i.Arm, i.Arm)
		}
		if !hit {
			what := "the arm " + i.Arm
			if i.Arm == "" {
				what = "any arm of the plan"
			}
			return fail.Newf(fail.Usage, "name an arm whose path has the hop; hoplab run --help shows how", "--inject %s: that hop is not on the path of %s", i.Hop, what)
		}
	}
	return nil
}
