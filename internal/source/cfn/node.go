package cfn

// nodeKind is what a value looks like in the file.
type nodeKind uint8

const (
	nNull nodeKind = iota
	nScalar
	nList
	nMap
)

// node is one value as written, before any function is evaluated. Short-form
// YAML tags are already in their long form, and an alias shares the node of
// its anchor: the tree is a directed graph without cycles.
type node struct {
	kind nodeKind
	line int32
	text string  // of a scalar
	kids []*node // items of a list, values of a map
	keys []key   // of a map, beside kids
	// index finds a key of a wide map; nil for narrow ones.
	index map[string]int32
}

// key is the name of a map entry and the line it stands on.
type key struct {
	name string
	line int32
}

// indexFrom is the width from which a map gets an index. Below it a scan is
// as fast and costs no memory; property maps rarely reach it.
const indexFrom = 12

// get returns the value under name, or nil.
func (n *node) get(name string) *node {
	if i := n.at(name); i >= 0 {
		return n.kids[i]
	}
	return nil
}

// at returns the position of name, or -1.
func (n *node) at(name string) int {
	if n == nil || n.kind != nMap {
		return -1
	}
	if n.index != nil {
		if i, ok := n.index[name]; ok {
			return int(i)
		}
		return -1
	}
	for i := range n.keys {
		if n.keys[i].name == name {
			return i
		}
	}
	return -1
}

// add appends an entry and reports whether the key was new.
func (n *node) add(k key, v *node) bool {
	if n.at(k.name) >= 0 {
		return false
	}
	n.keys = append(n.keys, k)
	n.kids = append(n.kids, v)
	switch {
	case n.index != nil:
		n.index[k.name] = int32(len(n.kids) - 1)
	case len(n.keys) == indexFrom:
		n.index = make(map[string]int32, 2*indexFrom)
		for i := range n.keys {
			n.index[n.keys[i].name] = int32(i)
		}
	}
	return true
}

// scalar returns the text of a scalar and whether n is one.
func (n *node) scalar() (string, bool) {
	if n == nil || n.kind != nScalar {
		return "", false
	}
	return n.text, true
}

// arena hands out nodes from blocks, which is several times cheaper than one
// allocation per value.
type arena struct{ free []node }

func (a *arena) new(kind nodeKind, line int32) *node {
	if len(a.free) == 0 {
		a.free = make([]node, 512)
	}
	n := &a.free[0]
	a.free = a.free[1:]
	n.kind, n.line = kind, line
	return n
}
