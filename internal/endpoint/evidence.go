package endpoint

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// The headers by which proxies show themselves. Envoy writes server and
// x-envoy-upstream-service-time, the latter with another value each time.
const (
	serverHeader  = "Server"
	viaHeader     = "Via"
	serviceHeader = "X-Envoy-Upstream-Service-Time"
)

var always = []string{serverHeader, viaHeader, serviceHeader}

// maxFound is how many headers beside those are taken for evidence without
// being named; a few are enough to tell ways apart.
const maxFound = 3

// silent are the headers that say nothing of a response's way: framing, dates,
// the content's own, and which of several equal processes answered.
var silent = map[string]bool{
	"Date": true, "Content-Length": true, "Content-Type": true, "Content-Encoding": true, "Content-Language": true,
	"Transfer-Encoding": true, "Connection": true, "Keep-Alive": true, "Trailer": true, "Vary": true, "Age": true, "Expires": true,
	"Last-Modified": true, "Etag": true, "Set-Cookie": true, "Cache-Control": true, "Accept-Ranges": true,
	"X-Hoplab-App": true, "X-Hoplab-Peer": true,
}

// Discover writes into the plan what every response of each arm must say, from
// what was seen: what the user named, Envoy's headers, server and via, and as
// far as needed others in which the arms differ. It fails with fail.Refused
// when responses contradict what was named, and when nothing tells two arms
// apart, unless the plan says that they are alike.
func Discover(p *plan.Plan, sights []Sight) error {
	for i := range sights {
		s := &sights[i]
		status, err := s.status()
		if err != nil {
			return err
		}
		arm := &p.Arms[p.ArmIndex(s.Arm.Name)]
		arm.Expect.Status = status
		if err := namedHold(s, arm.Endpoint.Proof); err != nil {
			return err
		}
	}
	for _, name := range slices.Concat(always, namedIn(p)) {
		for i := range sights {
			hold(p, &sights[i], name, name == serviceHeader)
		}
	}
	for _, name := range found(p, sights) {
		for i := range sights {
			hold(p, &sights[i], name, presenceTells(sights, name))
		}
	}
	for i, a := range p.Arms {
		if a.TwinOf != "" {
			p.Arms[i].Expect = p.Arms[p.ArmIndex(a.TwinOf)].Expect
		}
	}
	for _, pair := range pairs(p) {
		if a, b := &p.Arms[pair[0]], &p.Arms[pair[1]]; !p.Alike && !toldApart(a, b) {
			return fail.Newf(fail.Refused, "name a header in which they differ, with --proof; or say --alike, if nothing shall tell them apart",
				"the arms %s and %s look alike: every response of both says %s, so that nothing would show if requests went the other way",
				a.Name, b.Name, Words(a.Endpoint.Proof))
		}
	}
	return nil
}

// Words lists what responses must say.
func Words(proofs []plan.HeaderProof) string {
	if len(proofs) == 0 {
		return "nothing of its way"
	}
	var parts []string
	for _, h := range proofs {
		parts = append(parts, h.String())
	}
	return strings.Join(parts, ", ")
}

// TellsApart lists the headers in which two arms of the plan exclude each other, each once.
func TellsApart(p *plan.Plan) (names []string) {
	for _, pair := range pairs(p) {
		for _, x := range p.Arms[pair[0]].Endpoint.Proof {
			for _, y := range p.Arms[pair[1]].Endpoint.Proof {
				if name := strings.ToLower(x.Name); x.Name == y.Name && x.Excludes(y) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// namedHold holds what the user said against what was seen.
func namedHold(s *Sight, proofs []plan.HeaderProof) error {
	for _, h := range proofs {
		if !h.Named {
			continue
		}
		for _, r := range s.Responses {
			if said := saidIn(r.Header, h.Name); !h.Holds(said) {
				return fail.Newf(fail.Refused, "look at what is there with --dry-run and without --proof",
					"arm %s does not go the way that --proof says: %s was to hold, and a response has %s", s.Arm.Name, h, words(h.Name, said))
			}
		}
	}
	return nil
}

// words is what a response said in a header.
func words(name string, said samplefile.SeenHeader) string {
	h := plan.HeaderProof{Name: name, Want: plan.WantAbsent}
	if said.There {
		h.Want, h.Value = plan.WantValue, said.Value
	}
	return h.String()
}

func saidIn(h http.Header, name string) samplefile.SeenHeader {
	v := h.Values(name)
	if len(v) == 0 {
		return samplefile.SeenHeader{}
	}
	return samplefile.SeenHeader{Value: samplefile.SeenValue(v), There: true}
}

// fact is what all responses of an arm say in a header; false where some have
// it and some have not.
func fact(s *Sight, name string) (plan.HeaderProof, bool) {
	h := plan.HeaderProof{Name: name, Want: plan.WantAbsent}
	for i, r := range s.answered() {
		said := saidIn(r.Header, name)
		switch {
		case i == 0 && said.There:
			h.Want, h.Value = plan.WantValue, said.Value
		case i > 0 && said.There != (h.Want != plan.WantAbsent):
			return h, false
		case said.There && said.Value != h.Value:
			h.Want, h.Value = plan.WantPresent, ""
		}
	}
	return h, true
}

// hold adds an arm's fact to its proofs, unless the header is among them.
func hold(p *plan.Plan, s *Sight, name string, presence bool) {
	e := p.Arms[p.ArmIndex(s.Arm.Name)].Endpoint
	if slices.ContainsFunc(e.Proof, func(h plan.HeaderProof) bool { return h.Name == name }) {
		return
	}
	h, ok := fact(s, name)
	if !ok {
		return
	}
	if presence && h.Want == plan.WantValue {
		h.Want, h.Value = plan.WantPresent, ""
	}
	e.Proof = append(e.Proof, h)
}

// namedIn lists the headers that the user named for any arm.
func namedIn(p *plan.Plan) (names []string) {
	for _, a := range p.Arms {
		for _, h := range a.Endpoint.Proof {
			if h.Named && !slices.Contains(names, h.Name) {
				names = append(names, h.Name)
			}
		}
	}
	return names
}

// found lists headers beyond those in which the arms differ: first the ones
// that some arms have and others have not, then those that have different
// values, as many as there is room for.
func found(p *plan.Plan, sights []Sight) []string {
	all := map[string]bool{}
	for i := range sights {
		for _, r := range sights[i].answered() {
			for name := range r.Header {
				all[name] = true
			}
		}
	}
	var byPresence, byValue []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if silent[name] || slices.Contains(always, name) || slices.Contains(namedIn(p), name) {
			continue
		}
		switch {
		case presenceTells(sights, name):
			byPresence = append(byPresence, name)
		case differ(sights, name):
			byValue = append(byValue, name)
		}
	}
	room := min(maxFound, samplefile.MaxWatch-len(p.Watch()))
	out := append(byPresence, byValue...)
	return out[:max(0, min(room, len(out)))]
}

// presenceTells reports whether every arm has a header always or never, and some the other way.
func presenceTells(sights []Sight, name string) bool {
	there, absent := false, false
	for i := range sights {
		h, ok := fact(&sights[i], name)
		if !ok {
			return false
		}
		there, absent = there || h.Want != plan.WantAbsent, absent || h.Want == plan.WantAbsent
	}
	return there && absent
}

// differ reports whether every arm has a value of its own that never changes in a header, not the same in all.
func differ(sights []Sight, name string) bool {
	values := map[string]bool{}
	for i := range sights {
		h, ok := fact(&sights[i], name)
		if !ok || h.Want != plan.WantValue {
			return false
		}
		values[h.Value] = true
	}
	return len(values) > 1
}

// pairs lists the indices of every two arms that are no twins.
func pairs(p *plan.Plan) (out [][2]int) {
	for i := range p.Arms {
		for k := range i {
			if p.Arms[i].TwinOf == "" && p.Arms[k].TwinOf == "" {
				out = append(out, [2]int{k, i})
			}
		}
	}
	return out
}

func toldApart(a, b *plan.Arm) bool {
	for _, x := range a.Endpoint.Proof {
		for _, y := range b.Endpoint.Proof {
			if x.Name == y.Name && x.Excludes(y) {
				return true
			}
		}
	}
	return false
}

// Held compares what was seen with what the plan expects; nil when it agrees.
// A response that did not come is an error with fail.Environment, one that came
// another way with fail.Refused.
func Held(p *plan.Plan, sights []Sight) error {
	for i := range sights {
		s := &sights[i]
		arm := &p.Arms[p.ArmIndex(s.Arm.Name)]
		status, err := s.status()
		if err != nil {
			return err
		}
		if status != arm.Expect.Status {
			return fail.Newf(fail.Environment, "see what is wrong there", "arm %s answers with status %d; expected %d", arm.Name, status, arm.Expect.Status)
		}
		for _, h := range arm.Endpoint.Proof {
			for _, r := range s.Responses {
				if said := saidIn(r.Header, h.Name); !h.Holds(said) {
					return fail.Newf(fail.Refused, "see who answers there now, and start a new run",
						"arm %s goes another way than before: it had %s, and a response has %s", arm.Name, h, words(h.Name, said))
				}
			}
		}
	}
	return nil
}
