package cfn

import (
	"fmt"
	"strings"
)

// Unread is a part of the source that was not read: what it makes is not
// known, and so nothing is closed that it may add to.
type Unread struct {
	Pos Pos
	Why string
	// Types are the resource types that it makes; nil when any may be among them.
	Types []string
	// Uses are the resources that it is given or refers to, so that it may
	// attach something to them.
	Uses []*Resource
	// Exports is set for the stacks that import an output; they are not part of
	// the deployment that is read.
	Exports bool
	// Handed is set for a parameter, and for an output that is not exported: it may
	// be there for people alone, or for a stack that nests this one.
	Handed bool
	// Anything is set when it may attach something to any resource.
	Anything bool
}

// Makes reports whether one of the types may be among what was not read.
func (u *Unread) Makes(types ...string) bool {
	if u.Types == nil {
		return true
	}
	for _, t := range u.Types {
		for _, want := range types {
			if t == want || t == "" {
				return true
			}
		}
	}
	return false
}

// Touches reports whether what was not read may attach something to r.
func (u *Unread) Touches(r *Resource) bool {
	if u.Anything {
		return true
	}
	for _, x := range u.Uses {
		if x == r {
			return true
		}
	}
	return false
}

// unreadLoop records a loop in Resources that was not written out.
func (s *Stack) unreadLoop(k key, n *node) {
	u := Unread{Pos: Pos{s.File, int(k.line)}, Types: []string{}}
	u.Why = fmt.Sprintf("%s: %s is not expanded, so what it makes is not known", u.Pos, k.name)
	var types func(n *node, depth int)
	types = func(n *node, depth int) {
		if n == nil || depth > maxDepth {
			return
		}
		for i := range n.keys {
			if n.keys[i].name == "Type" && n.get("Properties") != nil || n.keys[i].name == "Type" && len(n.keys) == 1 {
				t, _ := n.kids[i].scalar()
				if strings.ContainsAny(t, "${}") {
					t = ""
				}
				u.Types = append(u.Types, t)
			}
		}
		for _, kid := range n.kids {
			types(kid, depth+1)
		}
	}
	types(n, 0)
	if len(u.Types) == 0 {
		u.Types = nil
	}
	u.Anything = true // its references hold the loop's variable
	s.asm.Unread = append(s.asm.Unread, u)
}

// unreadStack records a nested stack whose template is not at hand. It can
// attach something only to what it is given.
func (s *Stack) unreadStack(r *Resource, why string) {
	s.note(int32(r.Line), "nested stack %s: %s, so what it creates is not seen", r.LogicalID, why)
	s.asm.Unread = append(s.asm.Unread, Unread{
		Pos: r.Pos(), Why: fmt.Sprintf("%s: what nested stack %s creates is not seen: %s", r.Pos(), r.LogicalID, why),
		Uses: nil, Anything: false,
	})
	s.asm.unreadOf = append(s.asm.unreadOf, r)
}

// unreadAll records a transform that may add anything.
func (s *Stack) unreadAll(line int32, what string) {
	p := Pos{s.File, int(line)}
	why := fmt.Sprintf("%s: what %s adds to the template is not known", p, what)
	s.asm.Unread = append(s.asm.Unread, Unread{Pos: p, Why: why, Anything: true})
	s.asm.unreadOf = append(s.asm.unreadOf, nil)
}

// settleUnread finds, once everything is loaded, what the unread nested stacks
// were given, and which resources are handed out to stacks that are not here.
func (a *Assembly) settleUnread() {
	for i := range a.Unread {
		if r := a.Unread[i].nested(a); r != nil {
			a.Unread[i].Uses = resourcesIn(r.Prop("Parameters"), 0, nil)
		}
	}
	a.indexExports()
	for _, s := range a.Stacks {
		s.parametersOut()
		for _, id := range s.outputIDs {
			o := s.outputs[id]
			// CDK makes ExportsOutput… for a stack of the same app, which is at hand.
			// Without an export, the output is for whoever nests the stack.
			if s.Nested != nil && o.name.IsAbsent() || o.imported || strings.HasPrefix(id, "ExportsOutput") {
				continue
			}
			uses := resourcesIn(o.eval(), 0, nil)
			if len(uses) == 0 {
				continue
			}
			p := Pos{s.File, int(o.line)}
			a.Unread = append(a.Unread, Unread{Pos: p, Uses: uses, Exports: true, Handed: o.name.IsAbsent(),
				Why: fmt.Sprintf("%s: output %s hands it out, and what other stacks attach to it is not in the source", p, id)})
		}
	}
}

// parametersOut records the resources that the stack writes into the parameter
// store, where others read them.
func (s *Stack) parametersOut() {
	for _, r := range s.Resources {
		if r.Type != "AWS::SSM::Parameter" {
			continue
		}
		if uses := resourcesIn(r.Prop("Value"), 0, nil); len(uses) > 0 {
			s.asm.Unread = append(s.asm.Unread, Unread{Pos: r.Pos(), Uses: uses, Exports: true, Handed: true,
				Why: fmt.Sprintf("%s: parameter %s hands it out, and what other stacks attach to it is not in the source", r.Pos(), r.LogicalID)})
		}
	}
}

// nested returns the nested stack that u is about, or nil.
func (u *Unread) nested(a *Assembly) *Resource {
	for _, r := range a.unreadOf {
		if r != nil && r.Pos() == u.Pos {
			return r
		}
	}
	return nil
}

// resourcesIn returns the resources that a value refers to, at any depth.
func resourcesIn(v Value, depth int, out []*Resource) []*Resource {
	if depth > maxDepth {
		return out
	}
	switch v.kind {
	case Reference:
		out = append(out, v.x.ref.Resource)
	case List:
		for _, item := range v.Items() {
			out = resourcesIn(item, depth+1, out)
		}
	case Map:
		for _, k := range v.Keys() {
			out = resourcesIn(v.Get(k), depth+1, out)
		}
	case Unknown:
		for _, p := range append(append([]Value(nil), v.x.parts...), v.x.alts...) {
			out = resourcesIn(p, depth+1, out)
		}
	}
	return out
}
