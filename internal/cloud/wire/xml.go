package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// writeXML writes the members of an SDK output type as awsQuery has them: names
// are the fields', a list is of member elements, what is nil is left out.
func writeXML(b *bytes.Buffer, out any) error {
	v := reflect.ValueOf(out)
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return fmt.Errorf("%T is nil", out)
		}
		v = v.Elem()
	}
	return writeStruct(b, v)
}

func writeStruct(b *bytes.Buffer, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "ResultMetadata" { // the client's own notes
			continue
		}
		if err := writeMember(b, field.Name, v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", field.Name, err)
		}
	}
	return nil
}

func writeMember(b *bytes.Buffer, name string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		if v.IsNil() {
			return nil
		}
	case reflect.String: // an enumeration; a string that may be empty is a pointer
		if v.Len() == 0 {
			return nil
		}
	}
	b.WriteString("<" + name + ">")
	if err := writeValue(b, v); err != nil {
		return err
	}
	b.WriteString("</" + name + ">")
	return nil
}

func writeValue(b *bytes.Buffer, v reflect.Value) error {
	if t, ok := v.Interface().(time.Time); ok {
		b.WriteString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return writeValue(b, v.Elem())
	case reflect.Struct:
		return writeStruct(b, v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b.WriteString(base64.StdEncoding.EncodeToString(v.Bytes()))
			return nil
		}
		for i := range v.Len() {
			b.WriteString("<member>")
			if err := writeValue(b, v.Index(i)); err != nil {
				return fmt.Errorf("element %d: %w", i+1, err)
			}
			b.WriteString("</member>")
		}
		return nil
	case reflect.String:
		return xml.EscapeText(b, []byte(v.String()))
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
		return nil
	case reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
		return nil
	case reflect.Float32, reflect.Float64:
		b.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()))
		return nil
	}
	return fmt.Errorf("a %s cannot be written", v.Type())
}
