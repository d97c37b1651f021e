package reach

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

// fields calls f with every Opt and security-group rule in v, found by reflection, and its place.
func fields(v reflect.Value, place string, seen map[uintptr]bool, f func(place string, opt any)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		fields(v.Elem(), place, seen, f)
	case reflect.Slice:
		for i := range v.Len() {
			fields(v.Index(i), fmt.Sprintf("%s[%d]", place, i), seen, f)
		}
	case reflect.Struct:
		switch v.Addr().Interface().(type) {
		case *topology.Rule:
			f(place+"(rule)", v.Addr().Interface())
		case *topology.Opt[int], *topology.Opt[string], *topology.Opt[bool], *topology.Opt[topology.ID], *topology.Opt[netip.Prefix]:
			f(place, v.Addr().Interface())
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fields(v.Field(i), place+"."+v.Type().Field(i).Name, seen, f)
			}
		}
	}
}

const why = "made unknown"

func makeUnknown(opt any) {
	switch o := opt.(type) {
	case *topology.Opt[int]:
		*o = topology.Unknown[int](why)
	case *topology.Opt[string]:
		*o = topology.Unknown[string](why)
	case *topology.Opt[bool]:
		*o = topology.Unknown[bool](why)
	case *topology.Opt[topology.ID]:
		*o = topology.Unknown[topology.ID](why)
	case *topology.Opt[netip.Prefix]:
		*o = topology.Unknown[netip.Prefix](why)
	case *topology.Rule:
		o.Unknown = why
	}
}

func makeAbsent(opt any) {
	reflect.ValueOf(opt).Elem().SetZero()
}

// variants are deployments that work and deployments that do not.
func variants() map[string]func() *fixture {
	spoilt := func(spoil func(*fixture)) func() *fixture {
		return func() *fixture {
			f := healthy()
			spoil(f)
			return f
		}
	}
	return map[string]func() *fixture{
		"override": healthy,
		"default":  func() *fixture { return healthy().defaultMode() },
		"forgotten rule": spoilt(func(f *fixture) {
			f.appSG.Ingress[1] = tcp(80, 80, group(f.clientSG))
		}),
		"no egress":      spoilt(func(f *fixture) { f.albSG.Egress = nil }),
		"tls":            spoilt(func(f *fixture) { f.defaultMode(); f.endpoint().TLS = true }),
		"https listener": spoilt(func(f *fixture) { f.https() }),
		"second":         spoilt(func(f *fixture) { f.secondEndpoint().IngressPortOverride = known(8081) }),
		"check port":     spoilt(func(f *fixture) { f.tg.Health.Port = known("9000") }),
		"instance": spoilt(func(f *fixture) {
			i := &topology.Instance{Origin: origin("Instance", "AWS::EC2::Instance"), Groups: ids(f.appSG), Subnet: known(topology.ID("Main/Subnet"))}
			f.Instances = append(f.Instances, i)
			f.tg.Targets = []topology.Target{{Instance: known(i.ID), Port: known(80)}}
		}),
	}
}

// open are places whose being unknown is answered by an assumption that the
// prediction states, or that no outcome depends on.
var open = map[string]bool{
	".Services[0].DesiredCount": true, // stated in Assumes
}

// TestUnknownIsNeverGuessed makes one value after the other unknown: a
// prediction may then say unknown or stay what it was, and no error may appear
// that was not there before.
func TestUnknownIsNeverGuessed(t *testing.T) {
	for name, build := range variants() {
		t.Run(name, func(t *testing.T) {
			base := build().predict(t, Options{})
			errors := map[string]bool{}
			for _, g := range check(t, build(), Options{}) {
				if g.Severity == Error {
					errors[g.Rule] = true
				}
			}
			n := 0
			for i := 0; ; i++ {
				f := build()
				at := ""
				k := 0
				fields(reflect.ValueOf(f.Topology), "", map[uintptr]bool{}, func(place string, opt any) {
					if k == i {
						at = place
						makeUnknown(opt)
					}
					k++
				})
				if at == "" {
					break
				}
				n++
				r := f.predict(t, Options{})
				for _, p := range r.Predictions {
					b := base.Find(p.ID)
					if b == nil || open[at] {
						continue
					}
					if got, want := p.Outcome.Class, b.Outcome.Class; got != want && got != Unknown {
						t.Errorf("%s unknown: %s is %s (%s), was %s", at, p.ID, got, p.Outcome.Why, want)
					}
				}
				for _, g := range check(t, f, Options{}) {
					if g.Severity == Error && !errors[g.Rule] {
						t.Errorf("%s unknown: new error %s: %s", at, g.Rule, g.Message)
					}
				}
			}
			if n < 80 {
				t.Errorf("only %d values were made unknown", n)
			}
		})
	}
}

// TestAbsentDoesNotPanic takes one value after the other away.
func TestAbsentDoesNotPanic(t *testing.T) {
	for name, build := range variants() {
		for i := 0; ; i++ {
			f := build()
			at := ""
			k := 0
			fields(reflect.ValueOf(f.Topology), "", map[uintptr]bool{}, func(place string, opt any) {
				if k == i {
					at = place
					makeAbsent(opt)
				}
				k++
			})
			if at == "" {
				break
			}
			for _, p := range f.predict(t, Options{}).Predictions {
				if p.Outcome.Class == "" || p.Outcome.Why == "" {
					t.Errorf("%s, %s absent: %s has no outcome or no reason", name, at, p.ID)
				}
			}
			check(t, f, Options{})
		}
	}
}
