package reach

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// sampleOf returns a host and path that satisfy the rule's conditions as far as
// a URL can, and the conditions in words: ` (path /api/*)`. k chooses among the
// values and what stands for their wildcards.
func sampleOf(r *topology.ListenerRule, lb string, k int) (hostName, urlPath, conds string) {
	hostName, urlPath = lb, "/"
	var words []string
	for _, c := range r.Conditions {
		if len(c.Values) == 0 && len(c.Query) == 0 {
			continue
		}
		first := ""
		if len(c.Values) > 0 {
			first = c.Values[0].Or("?")
		}
		switch c.Field {
		case "path-pattern":
			urlPath = fill(c.Values[k%len(c.Values)].Or("?"), fillers[k%len(fillers)])
			words = append(words, "path "+first)
		case "host-header":
			hostName = fill(c.Values[k%len(c.Values)].Or("?"), fillers[k%3])
			words = append(words, "host "+first)
		case "http-header":
			words = append(words, "header "+c.Name+": "+first)
		case "query-string":
			q := c.Query[0]
			words = append(words, "query "+strings.TrimPrefix(q.Key+"="+q.Value, "="))
		default:
			words = append(words, c.Field+" "+first)
		}
	}
	if len(words) > 0 {
		conds = " (" + strings.Join(words, ", ") + ")"
	}
	return hostName, urlPath, conds
}

// fill replaces the wildcards of a pattern by something they match.
func fill(pattern, with string) string {
	return strings.NewReplacer("*", with, "?", "x").Replace(pattern)
}

// Wildcard reports whether s matches a pattern in which * is any characters,
// slashes included, and ? exactly one, as load balancers and IAM read them. It
// takes time proportional to the product of the lengths at worst.
//
// It places the pieces between the stars: the first at the start, the last at
// the end, each other one as far left as it fits.
func Wildcard(pattern, s string) bool {
	pieces := strings.Split(pattern, "*")
	last := len(pieces) - 1
	if last == 0 {
		return len(s) == len(pattern) && fits(pattern, s)
	}
	if !fits(pieces[0], s) {
		return false
	}
	s = s[len(pieces[0]):]
	end := len(s) - len(pieces[last])
	if end < 0 || !fits(pieces[last], s[end:]) {
		return false
	}
	s = s[:end]
	for _, piece := range pieces[1:last] {
		for !fits(piece, s) {
			if s == "" {
				return false
			}
			s = s[1:]
		}
		s = s[len(piece):]
	}
	return true
}

// fits reports whether s starts with the piece, in which ? is any character.
func fits(piece, s string) bool {
	if len(s) < len(piece) {
		return false
	}
	for i := range len(piece) {
		if piece[i] != '?' && piece[i] != s[i] {
			return false
		}
	}
	return true
}

// matches reports whether a plain GET for the host and path meets all
// conditions of r; maybe when a condition is unsettled or asks for something
// that a URL does not hold.
func matches(r *topology.ListenerRule, hostName, urlPath string) answer {
	all := yes
	for _, c := range r.Conditions {
		got := meets(c, hostName, urlPath)
		if got == no {
			return no
		}
		if got == maybe {
			all = maybe
		}
	}
	return all
}

func meets(c topology.Condition, hostName, urlPath string) answer {
	got := no
	for _, v := range c.Values {
		s, ok := v.Get()
		if !ok {
			got = maybe
			continue
		}
		hit := no
		switch c.Field {
		case "path-pattern":
			hit = truth(Wildcard(s, urlPath))
		case "host-header":
			hit = truth(Wildcard(strings.ToLower(s), strings.ToLower(hostName)))
		case "http-request-method":
			hit = truth(s == "GET")
		case "http-header":
			hit = no // a plain request carries no such header
		default:
			hit = maybe
		}
		if hit == yes {
			return yes
		}
		if hit == maybe {
			got = maybe
		}
	}
	return got
}

func truth(b bool) answer {
	if b {
		return yes
	}
	return no
}

// redirect returns the answer of a redirect action to the request q.
func redirect(q ask, r *topology.Redirect) Outcome {
	status := 302
	if strings.HasSuffix(r.Status, "301") {
		status = 301
	}
	values := strings.NewReplacer(
		"#{protocol}", schemeOf(q.l), "#{host}", q.host, "#{port}", strconv.Itoa(q.l.Port.Or(0)),
		"#{path}", strings.TrimPrefix(q.path, "/"), "#{query}", "",
	)
	part := func(s, def string) string { return values.Replace(cmp.Or(s, def)) }
	to := strings.ToLower(part(r.Protocol, "#{protocol}")) + "://" + part(r.Host, "#{host}") + ":" + part(r.Port, "#{port}") +
		"/" + strings.TrimPrefix(part(r.Path, "/#{path}"), "/")
	if query := part(r.Query, "#{query}"); query != "" {
		to += "?" + query
	}
	return Outcome{
		Class: OK, Status: status, Location: to, By: "alb", TimeKnown: true, Basis: semantics.Section(6), Inferred: true,
		Why: "the listener redirects",
	}
}
