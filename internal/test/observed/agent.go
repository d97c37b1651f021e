package observed

import (
	"context"
	"fmt"

	"github.com/hoplab/hoplab/internal/call"
)

// workers counts the groups of connections that take turns with each other.
// While one connection asks twice, a request of another moves the turn on by
// one if they share it.
func (s *stage) workers(ctx context.Context, w *Workers) ([]string, error) {
	c, url, _, _, err := s.address(w.From, w.To, 0, "", call.LookupAll)
	if err != nil {
		return nil, err
	}
	ask := func(k *connection) (string, error) {
		o, err := k.get(ctx, url)
		if err == nil && o.Status != 200 {
			err = fmt.Errorf("status %d %s", o.Status, o.Body)
		}
		return o.Header.Get("X-Hoplab-App"), err
	}
	first := s.connection(c, url)
	defer first.close()
	next := map[string]string{}
	for before := ""; len(next) < 3+1; {
		now, err := ask(first)
		if err != nil {
			return nil, err
		}
		if old, ok := next[before]; ok && old != now {
			return []string{fmt.Sprintf("on one connection task %q is followed by %s and by %s", before, old, now)}, nil
		} else if ok {
			return []string{fmt.Sprintf("on one connection %d tasks take turns, want 3", len(next)-1)}, nil
		}
		next[before], before = now, now
	}
	groups := []*connection{first}
	for range w.Connections - 1 {
		k := s.connection(c, url)
		defer k.close()
		shared := false
		for _, g := range groups {
			before, err := ask(g)
			if err != nil {
				return nil, err
			}
			if _, err := ask(k); err != nil {
				return nil, err
			}
			switch after, err := ask(g); {
			case err != nil:
				return nil, err
			case after == next[next[before]]:
				shared = true
			case after != next[before]:
				return []string{fmt.Sprintf("after task %s and one request of another connection it is the turn of %s", before, after)}, nil
			}
		}
		if !shared {
			groups = append(groups, k)
		}
	}
	if len(groups) != w.Want {
		return []string{fmt.Sprintf("%d connections take turns in %d groups, want %d", w.Connections, len(groups), w.Want)}, nil
	}
	return nil, nil
}
