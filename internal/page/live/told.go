package live

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/topology"
)

// told adds to the hops that counted a request what they kept of it: its heads,
// and the lines of their access logs.
func told(hops []page.Hop, kept []lab.TracedHop, top *topology.Topology) {
	for i := range hops {
		h := &hops[i]
		for _, p := range kept {
			if string(p.Host) != h.Host || p.Part != h.Part {
				continue
			}
			h.Log = append(h.Log, p.Log...)
			if p.Heads != nil {
				h.Heads = page.Heads{RequestIn: lines(p.Heads.RequestIn), RequestOut: lines(p.Heads.RequestOut),
					ResponseIn: lines(p.Heads.ResponseIn), ResponseOut: lines(p.Heads.ResponseOut)}
			}
		}
		if len(h.Log) == 0 {
			h.NoLog = unlogged(h, top)
		}
	}
	// Another request that was counted meanwhile may have gone another way.
	if !slices.ContainsFunc(hops, func(h page.Hop) bool { return h.N > 1 }) {
		wires(hops)
	}
}

func lines(head string) []string {
	if head == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(head, "\r\n"), "\r\n")
}

// wires gives to each hop what only its neighbour told: what one sends is what
// the next one gets.
func wires(hops []page.Hop) {
	same := func(a, b *[]string) {
		if *a == nil {
			*a = *b
		} else if *b == nil {
			*b = *a
		}
	}
	for i := range max(len(hops)-1, 0) {
		near, far := &hops[i].Heads, &hops[i+1].Heads
		same(&near.RequestOut, &far.RequestIn)
		same(&near.ResponseIn, &far.ResponseOut)
	}
}

// unlogged says why a hop has no line in an access log.
func unlogged(h *page.Hop, top *topology.Topology) string {
	if h.Part == "alb" {
		return "the lab's load balancer writes none"
	}
	for _, s := range top.Services {
		if string(s.ID) == h.Host && s.Connect != nil && h.Part != "app" && !s.Connect.HasLog {
			return "its service configures none"
		}
	}
	return "no line of it names this request"
}
