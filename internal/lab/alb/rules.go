package alb

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// route returns the actions for a request: those of the first rule whose
// conditions are all met, else the default ones.
func (l *Listener) route(req *h1.Request, client netip.Addr) []Action {
	if l == nil { // the listener closes while its last request is read
		return nil
	}
	for i := range l.Rules {
		if r := &l.Rules[i]; meetsAll(r.Conditions, req, client) {
			return r.Actions
		}
	}
	return l.Default
}

func meetsAll(cs []Condition, req *h1.Request, client netip.Addr) bool {
	for i := range cs {
		if !cs[i].meets(req, client) {
			return false
		}
	}
	return true
}

func (c *Condition) meets(req *h1.Request, client netip.Addr) bool {
	switch c.Field {
	case "path-pattern":
		path, _, _ := bytes.Cut(req.Target, []byte("?"))
		return c.anyValue(string(path), false)
	case "host-header":
		host := string(req.Host)
		if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
			host = host[:i]
		}
		return c.anyValue(host, true)
	case "http-request-method":
		for _, v := range c.Values {
			if v == string(req.Method) {
				return true
			}
		}
	case "http-header":
		for i := range req.Fields {
			f := &req.Fields[i]
			if strings.EqualFold(string(f.Name), c.Name) && c.anyValue(string(f.Value), true) {
				return true
			}
		}
	case "query-string":
		return c.meetsQuery(req.Target)
	case "source-ip":
		for _, v := range c.Values {
			if p, err := netip.ParsePrefix(v); err == nil && p.Contains(client) {
				return true
			}
		}
	}
	return false
}

func (c *Condition) anyValue(s string, fold bool) bool {
	for _, pattern := range c.Values {
		if fold {
			pattern, s = strings.ToLower(pattern), strings.ToLower(s)
		}
		if wildcard(pattern, s) {
			return true
		}
	}
	return false
}

func (c *Condition) meetsQuery(target []byte) bool {
	_, query, _ := bytes.Cut(target, []byte("?"))
	for part := range strings.SplitSeq(string(query), "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		k, v = unescape(k), unescape(v)
		for _, want := range c.Query {
			if (want.Key == "" || wildcard(strings.ToLower(want.Key), strings.ToLower(k))) &&
				wildcard(strings.ToLower(want.Value), strings.ToLower(v)) {
				return true
			}
		}
	}
	return false
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// wildcard matches s against a pattern in which * stands for any characters,
// none included, and ? for exactly one.
func wildcard(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// location builds a redirect's URL.
func (r *Redirect) location(req *h1.Request, protocol string, port uint16) string {
	host, _, _ := strings.Cut(string(req.Host), ":")
	path, query, _ := strings.Cut(string(req.Target), "?")
	expand := func(v, def string) string {
		if v == "" {
			v = def
		}
		return strings.NewReplacer("#{protocol}", strings.ToLower(protocol), "#{host}", host, "#{port}", itoa(int(port)),
			"#{path}", strings.TrimPrefix(path, "/"), "#{query}", query).Replace(v)
	}
	proto := strings.ToLower(expand(r.Protocol, "#{protocol}"))
	u := proto + "://" + expand(r.Host, "#{host}") + ":" + expand(r.Port, "#{port}") + expand(r.Path, "/#{path}")
	if q := expand(r.Query, "#{query}"); q != "" {
		u += "?" + q
	}
	return u
}
