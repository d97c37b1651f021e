package stack

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
)

// functions are CloudFormation's with an argument of which nothing is open.
var functions map[string]func(e *env, arg any) (any, error)

func init() { // a variable initialiser would be a cycle
	functions = map[string]func(*env, any) (any, error){
		"Fn::Join": fnJoin, "Fn::Select": fnSelect, "Fn::Split": fnSplit, "Fn::FindInMap": fnFindInMap, "Fn::Base64": fnBase64,
		"Fn::GetAZs": fnGetAZs, "Fn::Cidr": fnCidr, "Fn::ImportValue": fnImportValue, "Fn::Length": fnLength, "Fn::ToJsonString": fnToJSON,
	}
}

// maxText bounds a string that functions build, maxMade all that those of one
// template build, in bytes.
const (
	maxText = 1 << 20
	maxMade = 16 << 20
)

// make takes room for a text of so many bytes that a function is about to build.
func (e *env) make(function string, size int) error {
	if size > maxText {
		return invalid("Template error: %s makes a text of more than %d bytes", function, maxText)
	}
	if e.made += size; e.made > maxMade {
		return invalid("Template error: the functions make more than %d bytes of text", maxMade)
	}
	return nil
}

func fnJoin(e *env, arg any) (any, error) {
	list, _ := arg.([]any)
	if len(list) == 2 {
		sep, ok := list[0].(string)
		items, isList := list[1].([]any)
		if texts, all := allTexts(items); ok && isList && all {
			size := len(sep) * max(len(texts)-1, 0)
			for _, t := range texts {
				size += len(t)
			}
			if err := e.make("Fn::Join", size); err != nil {
				return nil, err
			}
			return strings.Join(texts, sep), nil
		}
	}
	return nil, invalid("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined")
}

func allTexts(list []any) (texts []string, ok bool) {
	for _, v := range list {
		s, isText := v.(string)
		if !isText {
			return nil, false
		}
		texts = append(texts, s)
	}
	return texts, true
}

// joinKnown joins neighbours that are known, so that a name that hangs on one
// resource is a text, the resource and a text.
func joinKnown(arg any) any {
	list, _ := arg.([]any)
	if len(list) != 2 {
		return arg
	}
	sep, ok := list[0].(string)
	items, isList := list[1].([]any)
	if !ok || !isList || sep != "" {
		return arg
	}
	var out []any
	for _, v := range items {
		s, isText := v.(string)
		if n := len(out); isText && n > 0 {
			if last, ok := out[n-1].(string); ok {
				out[n-1] = last + s
				continue
			}
		}
		if !isText || s != "" {
			out = append(out, v)
		}
	}
	return []any{"", out}
}

func fnSelect(_ *env, arg any) (any, error) {
	list, _ := arg.([]any)
	if len(list) == 2 {
		index, _ := list[0].(string)
		items, ok := list[1].([]any)
		if i, err := strconv.Atoi(index); err == nil && ok {
			if i < 0 || i >= len(items) {
				return nil, invalid("Template error: Fn::Select cannot select nonexistent value at index %d", i)
			}
			return items[i], nil
		}
	}
	return nil, invalid("Template error: every Fn::Select object must have two values: an integer index and a list")
}

func fnSplit(e *env, arg any) (any, error) {
	list, _ := arg.([]any)
	if len(list) == 2 {
		sep, ok1 := list[0].(string)
		text, ok2 := list[1].(string)
		if ok1 && ok2 && sep != "" {
			// An item takes more room than its text.
			if err := e.make("Fn::Split", len(text)+32*strings.Count(text, sep)); err != nil {
				return nil, err
			}
			var out []any
			for _, s := range strings.Split(text, sep) {
				out = append(out, s)
			}
			return out, nil
		}
	}
	return nil, invalid("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split")
}

func fnFindInMap(e *env, arg any) (any, error) {
	list, _ := arg.([]any)
	names, ok := allTexts(list)
	if !ok || len(names) != 3 {
		return nil, invalid("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
	}
	table, _ := e.mappings[names[0]].(map[string]any)
	row, _ := table[names[1]].(map[string]any)
	v, ok := row[names[2]]
	if !ok {
		return nil, invalid("Template error: Unable to get mapping for %s::%s::%s", names[0], names[1], names[2])
	}
	return v, nil
}

func fnBase64(e *env, arg any) (any, error) {
	s, ok := arg.(string)
	if !ok {
		return nil, invalid("Template error: every Fn::Base64 object must have a String-typed value.")
	}
	if err := e.make("Fn::Base64", base64.StdEncoding.EncodedLen(len(s))); err != nil {
		return nil, err
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), nil
}

// fnGetAZs gives three zones: what a region has at least, but for a few old ones.
func fnGetAZs(e *env, arg any) (any, error) {
	region, _ := arg.(string)
	if region == "" {
		region = e.pseudo["AWS::Region"]
	}
	return []any{region + "a", region + "b", region + "c"}, nil
}

func fnCidr(_ *env, arg any) (any, error) {
	list, _ := arg.([]any)
	texts, ok := allTexts(list)
	wrong := invalid("Template error: Fn::Cidr expects a block, how many, and the bits of each: %v", arg)
	if !ok || len(texts) < 2 || len(texts) > 3 {
		return nil, wrong
	}
	block, err := netip.ParsePrefix(texts[0])
	count, err2 := strconv.Atoi(texts[1])
	host := 8
	if err == nil && block.Addr().Is6() {
		host = 64
	}
	if len(texts) == 3 {
		var err3 error
		if host, err3 = strconv.Atoi(texts[2]); err3 != nil {
			return nil, wrong
		}
	}
	if err != nil || err2 != nil || count < 1 || count > 256 || host < 1 || host > block.Addr().BitLen()-block.Bits() {
		return nil, wrong
	}
	bits := block.Addr().BitLen() - host
	if room := bits - block.Bits(); room < 9 && count > 1<<room {
		return nil, wrong
	}
	var out []any
	base := new(big.Int).SetBytes(block.Masked().Addr().AsSlice())
	for i := range count {
		n := new(big.Int).Add(base, new(big.Int).Lsh(big.NewInt(int64(i)), uint(host)))
		addr, _ := netip.AddrFromSlice(n.FillBytes(make([]byte, block.Addr().BitLen()/8))) // as long as the block's
		out = append(out, netip.PrefixFrom(addr, bits).String())
	}
	return out, nil
}

func fnImportValue(e *env, arg any) (any, error) {
	name, ok := arg.(string)
	if !ok {
		return nil, invalid("Template error: the attribute in Fn::ImportValue must be a string")
	}
	return e.refs.imported(name)
}

func fnLength(_ *env, arg any) (any, error) {
	list, ok := arg.([]any)
	if !ok {
		return nil, invalid("Template error: Fn::Length expects a list")
	}
	return strconv.Itoa(len(list)), nil
}

// fnToJSON writes JSON, in which a byte of a text may take six.
func fnToJSON(e *env, arg any) (any, error) {
	if err := e.make("Fn::ToJsonString", size(arg, maxText)); err != nil {
		return nil, err
	}
	b, err := json.Marshal(arg)
	if err != nil {
		return nil, err
	}
	return string(b), e.make("Fn::ToJsonString", len(b))
}

// size counts the texts in a value and what is around them, in bytes: up to
// more than most, for a value may hold another one often.
func size(v any, most int) (n int) {
	switch v := v.(type) {
	case string:
		return len(v) + 2
	case []any:
		for i := 0; i < len(v) && n <= most; i++ {
			n += 1 + size(v[i], most-n)
		}
	case map[string]any:
		for k, x := range v {
			if n += len(k) + 4 + size(x, most-n); n > most {
				break
			}
		}
	}
	return n + 2
}
