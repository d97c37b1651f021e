package cfn

import (
	"encoding/binary"
	"net/netip"
)

// fnCidr computes Fn::Cidr: the first count blocks of a range, each with the
// given number of host bits (default 8).
func (s *Stack) fnCidr(arg *node, line int32) Value {
	kids, bad, ok := s.args("Fn::Cidr", "a block, a count and host bits", arg, line, 2, 3)
	if !ok {
		return bad
	}
	block := Deref(s.eval(kids[0]))
	text, ok := block.Text()
	if !ok {
		v := s.from(block, line, "Fn::Cidr", "")
		v.x.same = "" // count and size matter, too
		return v
	}
	prefix, err := netip.ParsePrefix(text)
	count, okc := s.eval(kids[1]).Int()
	bits, okb := 8, true
	if len(kids) == 3 {
		bits, okb = s.eval(kids[2]).Int()
	}
	if err != nil || !okc || !okb {
		return s.unknown(line, "", "Fn::Cidr of %s with a count or size that is not settled", block.describe())
	}
	items, ok := s.blocks(prefix.Masked(), count, bits, line)
	if !ok {
		return s.unknown(line, "", "Fn::Cidr: %s does not hold %d blocks of %d host bits", prefix, count, bits)
	}
	return s.list(line, items)
}

// blocks returns the first count sub-blocks of p with that many host bits.
// A count above 256 is more than Fn::Cidr gives.
func (s *Stack) blocks(p netip.Prefix, count, bits int, line int32) ([]Value, bool) {
	width := p.Addr().BitLen()
	free := width - p.Bits() - bits // bits that number the blocks
	if count < 1 || count > 256 || bits < 1 || bits > width || free < 0 {
		return nil, false
	}
	if free < 9 && count > 1<<free {
		return nil, false
	}
	items := make([]Value, 0, count)
	for i := range count {
		a, ok := offset(p.Addr(), uint64(i), bits)
		if !ok {
			return nil, false
		}
		items = append(items, s.known(line, netip.PrefixFrom(a, width-bits).String()))
	}
	return items, true
}

// offset returns base + i<<shift; the sum stays inside the address.
func offset(base netip.Addr, i uint64, shift int) (netip.Addr, bool) {
	if base.Is4() {
		b := base.As4()
		n := uint64(binary.BigEndian.Uint32(b[:])) + i<<shift
		if shift > 31 && i > 0 {
			return netip.Addr{}, false
		}
		binary.BigEndian.PutUint32(b[:], uint32(n))
		return netip.AddrFrom4(b), true
	}
	b := base.As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var addHi, addLo uint64
	if shift >= 64 {
		addHi = i << (shift - 64)
	} else {
		addLo, addHi = i<<shift, i>>(64-shift)
	}
	sum := lo + addLo
	if sum < lo {
		addHi++
	}
	binary.BigEndian.PutUint64(b[:8], hi+addHi)
	binary.BigEndian.PutUint64(b[8:], sum)
	return netip.AddrFrom16(b), true
}
