package module

import (
	"github.com/zclconf/go-cty/cty"
)

// The sizes of what amplifiers make, from arguments that are unmarked. An
// argument that is unknown or of the wrong type counts as small: the
// function then returns unknown or an error.

func stringLen(v cty.Value) int64 {
	if v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
		return int64(len(v.AsString()))
	}
	return 0
}

func elementCount(v cty.Value) int64 {
	if v.IsKnown() && !v.IsNull() && v.CanIterateElements() {
		return int64(v.LengthInt())
	}
	return 1
}

// times multiplies, saturating at a size that no budget allows.
func times(a, b int64) int64 {
	if a > maxSteps || b > maxSteps || a*b > maxSteps {
		return maxSteps + 1
	}
	return a * b
}

func product(args []cty.Value) int64 {
	n := int64(1)
	for _, a := range args {
		n = times(n, max(1, elementCount(a)))
	}
	return times(n, costNode)
}

func square(args []cty.Value) int64 {
	return product(append(args, args...))
}

func joinSize(args []cty.Value) int64 {
	n := int64(0)
	for _, a := range args[1:] {
		n += elementCount(a)
	}
	return times(n, stringLen(args[0]))
}

func replaceSize(args []cty.Value) int64 {
	if len(args) < 3 {
		return 0
	}
	sub := max(1, stringLen(args[1]))
	if sub > 1 && args[1].AsString()[0] == '/' {
		sub = 1 // a regular expression may match anywhere, and groups may repeat the match
	}
	return times(stringLen(args[0])/sub+1, stringLen(args[2])+costNode)
}

func indentSize(args []cty.Value) int64 {
	if !args[0].IsKnown() || args[0].IsNull() || args[0].Type() != cty.Number {
		return 0
	}
	spaces, _ := args[0].AsBigFloat().Int64()
	return times(max(0, spaces), stringLen(args[1])+1)
}

// textSize is the length of all strings in v.
func textSize(v cty.Value) int64 {
	if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() {
		return stringLen(v) + costNode
	}
	n := int64(0)
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		n += stringLen(k) + textSize(e)
	}
	return n
}

// formatSize adds up the widths and precisions of a format, and its
// arguments as often as there are verbs, for each row of lists that
// formatlist gets.
func formatSize(args []cty.Value) int64 {
	if stringLen(args[0]) == 0 {
		return 0
	}
	size, width, verbs := int64(0), int64(0), int64(0)
	for _, c := range args[0].AsString() {
		if c == '%' {
			verbs++
		}
		if c >= '0' && c <= '9' {
			width = min(width*10+int64(c-'0'), maxSteps+1)
			continue
		}
		size, width = min(size+width, maxSteps+1), 0
	}
	rows, values := int64(1), int64(0)
	for _, a := range args[1:] {
		rows = max(rows, elementCount(a))
		values += textSize(a)
	}
	return min(times(min(size+width, maxSteps+1)+costNode, rows)+times(verbs, values), maxSteps+1)
}
