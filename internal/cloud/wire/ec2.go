package wire

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
)

// ec2Protocol is EC2's own kind of awsQuery: lists have no member between name
// and number, and the answer no result inside the response.
type ec2Protocol struct{ queryProtocol }

func (p ec2Protocol) read(r *http.Request, body []byte) (string, map[string]any, error) {
	operation, input, err := p.queryProtocol.read(r, body)
	if err != nil {
		return "", nil, err
	}
	for name, v := range input {
		input[name] = numbered(v)
	}
	return operation, input, nil
}

// numbered turns members that are called 1, 2 and so on into a list, at every depth.
func numbered(v any) any {
	members, ok := v.(map[string]any)
	if !ok {
		return v
	}
	list := make([]any, len(members))
	for i := range list {
		e, ok := members[strconv.Itoa(i+1)]
		if !ok {
			list = nil
			break
		}
		list[i] = numbered(e)
	}
	if list != nil {
		return list
	}
	for name, e := range members {
		members[name] = numbered(e)
	}
	return members
}

// write writes a type of the handler's own, whose tags are encoding/xml's.
func (ec2Protocol) write(operation, id string, out any) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<%sResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>%s</requestId>`, operation, id)
	inner := xml.NewEncoder(&b)
	if err := inner.EncodeElement(out, xml.StartElement{Name: xml.Name{Local: "members"}}); err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "</%sResponse>", operation)
	text := bytes.Replace(b.Bytes(), []byte("<members>"), nil, 1)
	return bytes.Replace(text, []byte("</members></"+operation), []byte("</"+operation), 1), nil
}

func (ec2Protocol) fault(id string, f fault) []byte {
	var b bytes.Buffer
	b.WriteString("<Response><Errors><Error><Code>")
	_ = xml.EscapeText(&b, []byte(f.code)) // a buffer takes everything
	b.WriteString("</Code><Message>")
	_ = xml.EscapeText(&b, []byte(f.message))
	fmt.Fprintf(&b, "</Message></Error></Errors><RequestID>%s</RequestID></Response>", id)
	return b.Bytes()
}
