package report

// stack is the tables for a narrow terminal. Arms and differences share one
// column per quantile, so that a difference stands under what it is made of;
// an arm's path and proof stand on a line below it.
type stack struct {
	rows []stackRow
	page *page
}

// stackRow is a label and, at the right, numbers; without cells it is a free
// line under the row before.
type stackRow struct {
	label, marks string
	count        string // an arm's requests
	cells        []cell
	style        style
}

// stacked writes the tables. If the quantiles do not fit side by side, they
// are dealt to several tables.
func (p *page) stacked(v *view) {
	const label, number = 19, 19 // "  95 % interval" or name and requests; "[−0.04, +1.20] ms" and a gap
	each := max(1, (p.width-label)/number)
	for from := 0; from < len(v.Columns); from += each {
		t := &stack{page: p}
		t.fill(v, from, min(from+each, len(v.Columns)))
		t.write()
		p.gap()
	}
}

// fill adds all rows with the quantile columns from ≤ i < to.
func (t *stack) fill(v *view, from, to int) {
	head := stackRow{label: "arm", count: "requests"}
	for _, column := range v.Columns[from:to] {
		head.cells = append(head.cells, cell{column, v.marks(column)})
	}
	t.rows = append(t.rows, head)
	for _, a := range v.Arms {
		t.rows = append(t.rows, stackRow{label: a.Name, marks: v.marks(a.Arm.Name), count: a.Requests, cells: v.armCells(a)[from:to]})
		if about := joinNonEmpty(": ", a.Path, joinNonEmpty("; ", a.Proof, a.Trouble)); from == 0 && about != "" {
			t.free(about)
		}
	}
	if len(v.Differences) == 0 {
		return
	}
	t.free("")
	for _, d := range v.Differences {
		interval := stackRow{label: "  " + d.Interval}
		for _, c := range d.Cells[from:to] {
			interval.cells = append(interval.cells, cell{text: c.Interval})
		}
		t.rows = append(t.rows,
			stackRow{label: d.Name, marks: v.marks(d.Of), cells: v.estimateCells(d)[from:to], style: styleStrong}, interval)
	}
	if v.floorLabel() == "" {
		return
	}
	floor := stackRow{label: v.floorLabel(), cells: []cell{}}
	if v.Floor != nil {
		floor.cells = v.floorCells()[from:to]
	}
	t.rows = append(t.rows, floor)
}

func (t *stack) free(text string) { t.rows = append(t.rows, stackRow{label: text}) }

// write sets the rows: labels and counts share the room left of the numbers,
// and a label that is too long for it gets a line of its own.
func (t *stack) write() {
	var spans []span
	for _, r := range t.rows {
		for i, c := range r.cells {
			if i == len(spans) {
				spans = append(spans, span{})
			}
			spans[i].widen(c)
		}
	}
	most := t.page.width
	for _, s := range spans {
		most -= 2 + s.text + s.marks
	}
	left := 0
	for _, r := range t.rows {
		if n := r.leftWidth(); r.cells != nil && n <= most {
			left = max(left, n)
		}
	}
	for _, r := range t.rows {
		if r.cells == nil {
			t.page.hanging(styleNone, "  ", r.label)
		} else {
			t.writeRow(r, left, spans)
		}
	}
}

func (r stackRow) leftWidth() int {
	n := columns(r.label) + columns(r.marks)
	if r.count != "" {
		n += 2 + columns(r.count)
	}
	return n
}

func (t *stack) writeRow(r stackRow, left int, spans []span) {
	if r.leftWidth() > left {
		t.page.hanging(r.style, "", r.label+r.marks)
		r.label, r.marks = "", ""
	}
	line := r.label + r.marks
	line += spaces(left-columns(line)-columns(r.count)) + r.count
	for i, c := range r.cells {
		line += "  " + spans[i].right(c)
	}
	t.page.line(r.style, line)
}
