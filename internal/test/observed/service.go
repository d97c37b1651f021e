package observed

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

// entries compares what Cloud Map lists, as soon as the lab is settled.
func (s *stage) entries(e *Entries) (differs []string, err error) {
	st := s.lab.Status()
	if len(st.Namespaces) != 1 {
		return nil, fmt.Errorf("there are %d namespaces, want one", len(st.Namespaces))
	}
	got := st.Namespaces[0].Entries
	if len(got) != len(e.Want) {
		return []string{fmt.Sprintf("Cloud Map lists %d entries, want %d: %v", len(got), len(e.Want), got)}, nil
	}
	for i, w := range e.Want {
		if !whole(w.Name, got[i].Name) {
			differs = append(differs, fmt.Sprintf("entry %d is %s, want %s", i+1, got[i].Name, w.Name))
		}
		if len(got[i].Instances) != w.Instances {
			differs = append(differs, fmt.Sprintf("%s has %d instances, want %d", got[i].Name, len(got[i].Instances), w.Instances))
		}
		for _, attributes := range got[i].Instances {
			if len(attributes) != len(w.Attributes) {
				differs = append(differs, fmt.Sprintf("an instance of %s has the attributes %v, want %v", got[i].Name, attributes, w.Attributes))
			}
			for k, pattern := range w.Attributes {
				if !whole(pattern, attributes[k]) {
					differs = append(differs, fmt.Sprintf("an instance of %s has %s %q, want %s", got[i].Name, k, attributes[k], pattern))
				}
			}
		}
	}
	return differs, nil
}

// whole reports whether a pattern matches all of a text.
func whole(pattern, text string) bool {
	return regexp.MustCompile("^(?:" + pattern + ")$").MatchString(text)
}

func (s *stage) stable(ctx context.Context, w *Stable) ([]string, error) {
	v, err := s.service(w.Of)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(s.settleWithin); ; time.Sleep(5 * time.Millisecond) {
		st := s.lab.Status()
		switch {
		case st.Service(v.ID, "").Stable:
			return nil, nil
		case ctx.Err() != nil || time.Now().After(end):
			return []string{w.Of + " does not get stable"}, nil
		}
	}
}
