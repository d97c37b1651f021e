package summary

import (
	"math"
	"strconv"
)

// Round rounds what was measured to what can be read from it: latencies and
// differences to 0.1 µs, the resolution of a sample, limits to 1 ns, p-values
// to three significant digits. Whoever builds a summary calls it once, after
// the verdicts and before any words, so that every rendering shows the same
// numbers. The parts of a rounded ledger still add up. Twice is like once.
func (s *Summary) Round() {
	for i := range s.Arms {
		l := &s.Arms[i].Latency
		roundAll(&l.Min, &l.P50, &l.P90, &l.P95, &l.P99, &l.Max, &l.Mean)
	}
	for i := range s.Differences {
		d := &s.Differences[i]
		roundAll(&d.EstimateUs, &d.LowUs, &d.HighUs, &d.WithinLowUs, &d.WithinHighUs, &d.BetweenUs)
		d.P, d.PHolm = significant(d.P), significant(d.PHolm)
		d.BlockS = math.Round(d.BlockS*1e3) / 1e3
	}
	for i := range s.Quantities {
		q := &s.Quantities[i]
		for _, v := range []*float64{q.A, q.B, &q.Estimate, &q.Low, &q.High} {
			if v != nil {
				*v = q.round(*v)
			}
		}
	}
	for name, v := range s.NoiseFloorUs {
		s.NoiseFloorUs[name] = tenth(v)
	}
	for i := range s.Budgets {
		b := &s.Budgets[i]
		roundAll(&b.EstimateUs, &b.LowUs, &b.HighUs)
		b.LimitUs = math.Round(b.LimitUs*1e3)/1e3 + 0
	}
	if l := s.Ledger; l != nil {
		l.TotalUs = tenth(l.TotalUs)
		rest := l.TotalUs
		for i := range l.Entries {
			l.Entries[i].Us = tenth(l.Entries[i].Us)
			rest -= l.Entries[i].Us
		}
		l.RemainderUs = tenth(rest)
	}
}

func roundAll(us ...*float64) {
	for _, v := range us {
		*v = tenth(*v)
	}
}

// tenth rounds to 0.1; the sum makes a zero of a negative zero.
func tenth(us float64) float64 { return math.Round(us*10)/10 + 0 }

// round keeps a tenth of a µs or of a count, and a millionth of a share.
func (q *Quantity) round(v float64) float64 {
	if q.Unit == UnitShare {
		return math.Round(v*1e6)/1e6 + 0
	}
	return tenth(v)
}

func significant(p *float64) *float64 {
	if p == nil {
		return nil
	}
	v, _ := strconv.ParseFloat(strconv.FormatFloat(*p, 'g', 3, 64), 64) // it reads what it wrote
	return &v
}
