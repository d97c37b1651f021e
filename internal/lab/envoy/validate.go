package envoy

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// Validate checks a message against the constraints of Envoy's definitions,
// and so every message that is packed in it, which their generated methods
// do not look into.
func Validate(m proto.Message) error {
	v, ok := m.(interface{ ValidateAll() error })
	if ok {
		if err := v.ValidateAll(); err != nil {
			return fmt.Errorf("%s: %w", m.ProtoReflect().Descriptor().FullName(), err)
		}
	}
	return packed(m.ProtoReflect())
}

// packed validates what Any fields hold, at every depth.
func packed(m protoreflect.Message) (err error) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		inner, err := a.UnmarshalNew()
		if err != nil {
			return fmt.Errorf("%s: %w", a.TypeUrl, err)
		}
		return Validate(inner)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				err = packed(v.Message())
				return err == nil
			})
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = packed(v.List().Get(i).Message())
			}
		default:
			err = packed(v.Message())
		}
		return err == nil
	})
	return err
}
