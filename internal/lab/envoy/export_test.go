package envoy

import "net/netip"

// For tests of what a real Envoy does.
const MaxRestarts = maxRestarts

func (p *Proxy) StopControl()             { p.control.stopListening() }
func (p *Proxy) StartControl() error      { return p.control.listen() }
func (p *Proxy) Outbound() netip.AddrPort { return p.at.Outbound }
