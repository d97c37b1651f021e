package cfn

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// order is the graph of what is created before what. Its nodes are the
// resources of all stacks and, per stack, a start before and an end after
// all of its resources; before[n] lists the nodes that n waits for.
type order struct {
	before [][]int32
	nodes  []*Resource // nil for a start or end
	stacks []*Stack    // of every node
	index  map[*Resource]int32
	start  map[*Stack]int32
	sorted []int32 // creation order
}

// buildOrder builds the graph and refuses templates whose resources wait for
// each other. Stacks that refer to each other can have been deployed in
// turns, so that is a remark and their references do not order them.
func (a *Assembly) buildOrder() error {
	uses, open := a.scan(false)
	if a.failure != nil {
		return a.failure
	}
	o := a.graph(uses, true)
	if o.sort() == nil {
		a.order, a.looseOrder = o, o
		if open {
			uses, _ := a.scan(true)
			if loose := a.graph(uses, true); loose.sort() == nil {
				a.looseOrder = loose
			}
		}
		return nil
	}
	o = a.graph(uses, false)
	if circle := o.sort(); circle != nil {
		return o.circular(circle)
	}
	a.Notes = append(a.Notes, Note{Text: "stacks refer to each other in a circle; their references say nothing about the order of deployment"})
	a.order, a.looseOrder = o, o
	return nil
}

// scan lists for every resource the resources of its stack that it uses, and
// resolves the references to other stacks on the way. Loose counts what hangs
// on a condition that is not settled; open is set when there is such a thing.
func (a *Assembly) scan(loose bool) (uses map[*Resource][]*Resource, open bool) {
	uses = map[*Resource][]*Resource{}
	for _, s := range a.Stacks {
		for _, r := range s.Resources {
			if r.exist == no {
				continue
			}
			u := user{stack: s, self: r, loose: loose}
			u.walk(r.body.get("Properties"))
			for _, id := range r.DependsOn {
				u.use(id)
			}
			if len(u.found) > 0 {
				uses[r] = u.found
			}
			open = open || u.open
		}
	}
	return uses, open
}

// user collects what one resource uses.
type user struct {
	stack *Stack
	self  *Resource
	found []*Resource
	// loose counts resources that may exist and both branches of a choice; open
	// is set when there are some.
	loose, open bool
}

// use adds a resource that is certain to exist, or with loose may exist.
func (u *user) use(id string) {
	r := u.stack.byID[id]
	if r == nil || r == u.self || r.exist == no {
		return
	}
	if r.exist == maybe {
		if u.open = true; !u.loose {
			return
		}
	}
	for _, f := range u.found {
		if f == r {
			return
		}
	}
	u.found = append(u.found, r)
}

// walk follows the references below n. Of a choice only the branch that is
// certain to be taken counts.
func (u *user) walk(n *node) {
	if n == nil || n.kind == nScalar || n.kind == nNull {
		return
	}
	name, arg, ok := call(n)
	if !ok {
		for _, k := range n.kids {
			u.walk(k)
		}
		return
	}
	switch name {
	case "Ref":
		if id, ok := arg.scalar(); ok {
			u.use(id)
		}
	case "Fn::GetAtt":
		if id, _, ok := u.stack.getAtt(arg); ok {
			u.use(id)
		}
	case "Fn::Sub":
		u.walkSub(arg)
	case "Fn::If":
		u.walkIf(arg)
	case "Fn::ImportValue", "Fn::GetStackOutput":
		u.stack.eval(n) // records the dependency between the stacks
		u.walk(arg)
	default:
		u.walk(arg)
	}
}

func (u *user) walkIf(arg *node) {
	if arg.kind != nList || len(arg.kids) != 3 {
		return
	}
	name, ok := arg.kids[0].scalar()
	if !ok {
		return
	}
	switch v, _ := u.stack.condition(name, arg.line); v {
	case yes:
		u.walk(arg.kids[1])
	case no:
		u.walk(arg.kids[2])
	default:
		if u.open = true; u.loose {
			u.walk(arg.kids[1])
			u.walk(arg.kids[2])
		}
	}
}

func (u *user) walkSub(arg *node) {
	text, ok := arg.scalar()
	var vars *node
	if !ok && arg.kind == nList && len(arg.kids) > 0 {
		text, _ = arg.kids[0].scalar()
		if len(arg.kids) > 1 {
			vars = arg.kids[1]
			u.walk(vars)
		}
	}
	for {
		_, rest, ok := strings.Cut(text, "${")
		if !ok {
			return
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return
		}
		text = after
		name = strings.TrimSpace(name)
		if vars.at(name) < 0 {
			id, _, _ := strings.Cut(name, ".")
			u.use(id)
		}
	}
}

// graph builds the nodes and edges; refs says whether references between
// stacks order them, beside what the manifest says.
func (a *Assembly) graph(uses map[*Resource][]*Resource, refs bool) *order {
	o := &order{index: map[*Resource]int32{}, start: map[*Stack]int32{}}
	end := map[*Stack]int32{}
	node := func(r *Resource, s *Stack) int32 {
		o.nodes, o.stacks, o.before = append(o.nodes, r), append(o.stacks, s), append(o.before, nil)
		return int32(len(o.nodes) - 1)
	}
	for _, s := range a.Stacks {
		o.start[s] = node(nil, s)
		for _, r := range s.Resources {
			if r.exist != no {
				o.index[r] = node(r, s)
			}
		}
		end[s] = node(nil, s)
	}
	wait := func(n, on int32) { o.before[n] = append(o.before[n], on) }
	for _, s := range a.Stacks {
		for _, r := range s.Resources {
			n, ok := o.index[r]
			if !ok {
				continue
			}
			wait(n, o.start[s])
			wait(end[s], n)
			for _, u := range uses[r] {
				wait(n, o.index[u])
			}
			if r.child != nil {
				wait(n, end[r.child])
				for _, on := range o.before[n] {
					if on != end[r.child] {
						wait(o.start[r.child], on)
					}
				}
			}
		}
		deps := s.DependsOn
		if refs {
			deps = s.deps()
		}
		for _, d := range deps {
			if d != s {
				wait(o.start[s], end[d])
			}
		}
	}
	return o
}

// sort puts the nodes into creation order, or returns the nodes of a circle.
func (o *order) sort() (circle []int32) {
	waiting := make([]int32, len(o.nodes))
	after := make([][]int32, len(o.nodes))
	for n, list := range o.before {
		waiting[n] = int32(len(list))
		for _, b := range list {
			after[b] = append(after[b], int32(n))
		}
	}
	o.sorted = make([]int32, 0, len(o.nodes))
	for n := range o.nodes {
		if waiting[n] == 0 {
			o.sorted = append(o.sorted, int32(n))
		}
	}
	for i := 0; i < len(o.sorted); i++ {
		for _, n := range after[o.sorted[i]] {
			if waiting[n]--; waiting[n] == 0 {
				o.sorted = append(o.sorted, n)
			}
		}
	}
	if len(o.sorted) == len(o.nodes) {
		return nil
	}
	return o.circle(waiting)
}

// circle walks back from a node that never came free until a node repeats.
func (o *order) circle(waiting []int32) []int32 {
	var n int32
	for n = 0; waiting[n] == 0; n++ {
	}
	seen := map[int32]int{}
	var path []int32
	for {
		if at, ok := seen[n]; ok {
			return path[at:]
		}
		seen[n] = len(path)
		path = append(path, n)
		for _, b := range o.before[n] {
			if waiting[b] > 0 {
				n = b
				break
			}
		}
	}
}

// circular names the resources of a circle in the error.
func (o *order) circular(nodes []int32) error {
	var names []string
	pos := ""
	for _, n := range nodes {
		r := o.nodes[n]
		if r == nil {
			continue
		}
		if pos == "" {
			pos = r.Pos().String()
		}
		if len(names) < 6 {
			names = append(names, fmt.Sprintf("%s (line %d)", r.LogicalID, r.Line))
		}
	}
	if len(names) == 0 {
		s := o.stacks[nodes[0]]
		return fail.Newf(fail.Usage, "break the cycle between the stacks",
			"%s: stack %s waits for itself through the stacks it depends on", s.File, s.Name)
	}
	return fail.Newf(fail.Usage, "break the cycle, for example with a standalone rule or policy; CloudFormation refuses it",
		"%s: circular dependency: %s waits for itself%s", pos, names[0], byWayOf(names[1:]))
}

func byWayOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " by way of " + strings.Join(names, ", ")
}

// Before returns, for every resource of a type, the resources of the earlier
// types, or of its own without any, that are created before it: by DependsOn, by reference, through other
// resources, through nested stacks and through the order of the stacks. What
// hangs on a condition that is not settled does not count. Lists are in
// template order.
func (a *Assembly) Before(typ string, earlier ...string) map[*Resource][]*Resource {
	return a.before(a.order, typ, earlier)
}

// MayBefore is Before with what hangs on a condition that is not settled: what
// it leaves out is in no deployment created before the resource.
func (a *Assembly) MayBefore(typ string, earlier ...string) map[*Resource][]*Resource {
	return a.before(a.looseOrder, typ, earlier)
}

func (a *Assembly) before(o *order, typ string, earlier []string) map[*Resource][]*Resource {
	if len(earlier) == 0 {
		earlier = []string{typ}
	}
	var all []*Resource
	slot := map[int32]int{}
	for _, s := range a.Stacks {
		for _, r := range s.Resources {
			if n, ok := o.index[r]; ok && slices.Contains(earlier, r.Type) {
				slot[n] = len(all)
				all = append(all, r)
			}
		}
	}
	words := (len(all) + 63) / 64
	sets := make([][]uint64, len(o.nodes)) // nil: none
	out := make(map[*Resource][]*Resource, len(all))
	for _, n := range o.sorted {
		set := o.gather(n, sets, slot, words)
		sets[n] = set
		if r := o.nodes[n]; r != nil && r.Type == typ {
			out[r] = members(set, all)
		}
	}
	return out
}

// gather returns the union of what the nodes before n hold, with those that
// are of the type themselves. A set that would equal the only one before it
// is shared, so long chains cost nothing.
func (o *order) gather(n int32, sets [][]uint64, slot map[int32]int, words int) []uint64 {
	var set []uint64
	own := false
	for _, b := range o.before[n] {
		i, typed := slot[b]
		if sets[b] == nil && !typed {
			continue
		}
		if set == nil && !typed {
			set = sets[b]
			continue
		}
		if !own {
			set, own = append(make([]uint64, 0, words), set...)[:words], true
		}
		for w, x := range sets[b] {
			set[w] |= x
		}
		if typed {
			set[i/64] |= 1 << (i % 64)
		}
	}
	return set
}

func members(set []uint64, all []*Resource) []*Resource {
	var out []*Resource
	for w, x := range set {
		for x != 0 {
			i := bits.TrailingZeros64(x)
			out = append(out, all[64*w+i])
			x &= x - 1
		}
	}
	return out
}
