package cfn

import "github.com/hoplab/hoplab/internal/fail"

// Template is a template in memory, and where it is deployed.
type Template struct {
	Name            string // of the stack
	Account, Region string // empty when they are settled only at deploy
	Text            []byte // JSON or YAML
}

// Templates reads templates from memory and resolves the references between
// them, as Load does for files. Templates of nested stacks are not loaded.
func Templates(list []Template, opts Options) (*Assembly, error) {
	l := newLoader("templates in memory", opts)
	for _, t := range list {
		root, err := parse(t.Name, t.Text)
		if err != nil {
			return nil, err
		}
		l.values += len(t.Text) / 16
		if _, err := l.add(&Stack{Name: t.Name, StackName: t.Name, File: t.Name, Account: t.Account, Region: t.Region}, root); err != nil {
			return nil, err
		}
	}
	return l.finish()
}

// Plain reads a template, JSON or YAML, as data: maps are map[string]any, lists
// []any, null is nil and every other scalar its text, as CloudFormation takes 80
// and "80" alike. Functions of YAML's short form have their long one, and
// nothing is evaluated. Aliases of YAML are written out, to at most maxPlain
// values. file names the template in messages.
func Plain(file string, data []byte) (any, error) {
	root, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	left := maxPlain
	v := root.plain(&left)
	if left < 0 {
		return nil, fail.Newf(fail.Usage, "use fewer aliases", "%s: more than %d values", file, maxPlain)
	}
	return v, nil
}

// plain takes one of left for each value, and stops when there is none.
func (n *node) plain(left *int) any {
	if *left--; *left < 0 {
		return nil
	}
	switch n.kind {
	case nScalar:
		return n.text
	case nList:
		out := make([]any, len(n.kids))
		for i, k := range n.kids {
			out[i] = k.plain(left)
		}
		return out
	case nMap:
		out := make(map[string]any, len(n.kids))
		for i := range n.keys {
			out[n.keys[i].name] = n.kids[i].plain(left)
		}
		return out
	}
	return nil
}
