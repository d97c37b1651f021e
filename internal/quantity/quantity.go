// Package quantity writes latencies, differences and counts the way every
// hoplab rendering writes them: one unit per group of numbers that are read
// together, and no more digits than the interval around a number supports.
//
// Latencies go in as microseconds. It is a leaf, so that the sentences of an
// analysis and the tables of a report can share its rules.
package quantity

import (
	"math"
	"strconv"
	"strings"
)

// Finest is the smallest step to which a latency is written, in µs: sample
// files store 100 ns, so a finer digit would be made up.
const Finest = 0.1

// Unit is a unit of time.
type Unit struct {
	Name string
	Us   float64 // microseconds in one unit
}

// The units hoplab writes.
var (
	Microseconds = Unit{"µs", 1}
	Milliseconds = Unit{"ms", 1e3}
	Seconds      = Unit{"s", 1e6}
)

// UnitFor returns the unit for numbers that stand in one column: the largest
// unit of which the largest magnitude is at least one. Values that are not
// finite do not count.
func UnitFor(us ...float64) Unit {
	var largest float64
	for _, v := range us {
		if a := math.Abs(v); !math.IsNaN(v) && !math.IsInf(v, 0) && a > largest {
			largest = a
		}
	}
	switch {
	case largest >= Seconds.Us:
		return Seconds
	case largest >= Milliseconds.Us:
		return Milliseconds
	}
	return Microseconds
}

// Step returns the step, a power of ten of µs, to which numbers with the
// interval [low, high] are written: the largest of which the interval holds at
// least eight, so that rounding moves an end by a sixteenth of the width at
// most. It is Finest for an interval of no width, and finer than the rule
// where an end that is not zero would otherwise be written as zero.
func Step(low, high float64) float64 {
	step := SignificantStep((high-low)/8, 1)
	for _, end := range []float64{low, high} {
		for end != 0 && step > Finest && math.Abs(end) < step/2 {
			step /= 10
		}
	}
	return math.Max(step, Finest)
}

// SignificantStep returns the step that writes v with the given number of
// significant digits, at least Finest. Zero and values that are not finite
// give Finest.
func SignificantStep(v float64, digits int) float64 {
	v = math.Abs(v)
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return Finest
	}
	// The epsilon keeps 1000 from becoming 999.99… in log10.
	exponent := math.Floor(math.Log10(v)+1e-12) - float64(digits-1)
	return math.Max(math.Pow(10, exponent), Finest)
}

// Number writes v (µs) in the unit u, rounded to step (µs), without the
// unit's name. A negative number has a real minus sign; what rounds to zero
// has no sign.
func (u Unit) Number(v, step float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "−∞"
	}
	if !(step > 0) {
		step = Finest
	}
	rounded := math.Round(v/step) * step
	if math.IsInf(rounded, 0) { // v/step overflows; so large a number has nothing to round
		rounded = v
	}
	decimals := int(math.Max(0, math.Ceil(math.Log10(u.Us/step)-1e-9)))
	text := strconv.FormatFloat(math.Abs(rounded)/u.Us, 'f', decimals, 64)
	text = groupThousands(text)
	if rounded < 0 && strings.Trim(text, "0.") != "" {
		return "−" + text
	}
	return text
}

// Signed is Number with a plus before what is above zero.
func (u Unit) Signed(v, step float64) string {
	text := u.Number(v, step)
	if v > 0 && strings.Trim(text, "0.") != "" {
		return "+" + text
	}
	return text
}

// Interval writes "[165, 178]", with signs when the ends differ in theirs.
func (u Unit) Interval(low, high, step float64) string {
	if low < 0 {
		return "[" + u.Signed(low, step) + ", " + u.Signed(high, step) + "]"
	}
	return "[" + u.Number(low, step) + ", " + u.Number(high, step) + "]"
}

// With writes a number followed by the unit's name: "612 µs".
func (u Unit) With(number string) string { return number + " " + u.Name }

// Count writes a number of things with thousands separated: "15,002".
func Count(n int64) string {
	return strings.Replace(groupThousands(strconv.FormatInt(n, 10)), "-", "−", 1)
}

// Bytes writes a size: in KiB or MiB where it is a whole number of them, else in bytes.
func Bytes(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + " MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + " KiB"
	}
	return Count(int64(n)) + " bytes"
}

// Quantile names a quantile in (0,1): "p50", "p99", "p99.9".
func Quantile(q float64) string {
	return "p" + strconv.FormatFloat(math.Round(q*1e6)/1e4, 'f', -1, 64)
}

// groupThousands puts commas into the whole part of a decimal number.
func groupThousands(text string) string {
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	whole, fraction, found := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + fraction
	}
	return sign + whole
}
