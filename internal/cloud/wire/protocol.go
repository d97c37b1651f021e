package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// fault is an error as a client reads it; ours tells the server's from the client's.
type fault struct {
	code, message string
	ours          bool
}

// protocol reads requests and writes answers in one of AWS's forms.
type protocol interface {
	read(r *http.Request, body []byte) (operation string, input map[string]any, err error)
	write(operation, id string, out any) ([]byte, error)
	fault(id string, f fault) []byte
	headers() map[string]string
}

// protocolOf tells the form of a request by its headers; awsQuery, which has
// none of its own, is the rest.
func protocolOf(r *http.Request) protocol {
	switch {
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		return cborProtocol{}
	case r.Header.Get("X-Amz-Target") != "":
		version := "1.1"
		if strings.HasSuffix(r.Header.Get("Content-Type"), "1.0") {
			version = "1.0"
		}
		return jsonProtocol{version: version}
	}
	return queryProtocol{}
}

// jsonProtocol is awsJson.
type jsonProtocol struct{ version string }

func (jsonProtocol) read(r *http.Request, body []byte) (string, map[string]any, error) {
	target := r.Header.Get("X-Amz-Target") // some clients write a package before the service
	dot := strings.LastIndexByte(target, '.')
	if dot < 0 {
		return "", nil, fmt.Errorf("X-Amz-Target is %q; SERVICE.OPERATION was expected", target)
	}
	operation := target[dot+1:]
	input := map[string]any{}
	if len(bytes.TrimSpace(body)) == 0 {
		return operation, input, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // 64-bit integers keep their digits
	if err := d.Decode(&input); err != nil {
		return "", nil, fmt.Errorf("%s: the body is no JSON object: %w", operation, err)
	}
	return operation, input, nil
}

func (p jsonProtocol) write(_, _ string, out any) ([]byte, error) {
	return writeJSON(out)
}

func (jsonProtocol) fault(_ string, f fault) []byte {
	body, _ := json.Marshal(map[string]string{"__type": f.code, "message": f.message}) // strings always marshal
	return body
}

func (p jsonProtocol) headers() map[string]string {
	return map[string]string{"Content-Type": "application/x-amz-json-" + p.version}
}

// cborProtocol is RPC v2 CBOR.
type cborProtocol struct{}

func (cborProtocol) read(r *http.Request, body []byte) (string, map[string]any, error) {
	parts := strings.Split(r.URL.Path, "/") // /service/NAME/operation/NAME
	if len(parts) != 5 || parts[1] != "service" || parts[3] != "operation" {
		return "", nil, fmt.Errorf("the path is %q; /service/NAME/operation/NAME was expected", r.URL.Path)
	}
	operation := parts[4]
	if len(body) == 0 {
		return operation, map[string]any{}, nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return "", nil, fmt.Errorf("%s: the body is no CBOR: %w", operation, err)
	}
	plain, err := fromCBOR(v)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", operation, err)
	}
	input, ok := plain.(map[string]any)
	if !ok {
		return "", nil, fmt.Errorf("%s: the body is no CBOR map", operation)
	}
	return operation, input, nil
}

func (cborProtocol) write(_, _ string, out any) ([]byte, error) {
	s, ok := out.(smithy.Serializable)
	if !ok {
		return nil, fmt.Errorf("%T cannot be written as CBOR", out)
	}
	return serialized(rpcv2.NewCBOR(nowhere), s)
}

func (cborProtocol) fault(_ string, f fault) []byte {
	return cbor.Encode(cbor.Map{"__type": cbor.String(f.code), "message": cbor.String(f.message)})
}

func (cborProtocol) headers() map[string]string {
	return map[string]string{"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}
}

// nowhere and nothing name the service and the operation of a request that is
// only serialized and never sent.
var (
	shape   = smithy.NewSchema(smithy.ShapeID{Namespace: "hoplab", Name: "answer"}, smithy.ShapeTypeStructure, 0)
	nowhere = smithy.NewServiceSchema(shape, "")
	nothing = smithy.NewOperationSchema(shape, shape, shape)
)

// serialized lets a protocol of the SDK write a value as it would a request: in
// these protocols an answer's body has the same form.
func serialized(p smithyhttp.ClientProtocol, v smithy.Serializable) ([]byte, error) {
	r, ok := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	if !ok {
		return nil, errors.New("the SDK's request has another type")
	}
	if err := p.SerializeRequest(context.Background(), nothing, v, r); err != nil {
		return nil, err
	}
	if r.GetStream() == nil {
		return nil, errors.New("the SDK wrote no body")
	}
	return io.ReadAll(r.GetStream())
}

// queryProtocol is awsQuery: a form is answered in XML.
type queryProtocol struct{}

func (queryProtocol) read(r *http.Request, body []byte) (string, map[string]any, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", nil, fmt.Errorf("the body is no form: %w", err)
	}
	operation := form.Get("Action")
	if operation == "" {
		return "", nil, fmt.Errorf("%s %s has no Action, and no header that tells a protocol", r.Method, r.URL.Path)
	}
	form.Del("Action")
	form.Del("Version")
	input, err := fromForm(form)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", operation, err)
	}
	return operation, input, nil
}

func (queryProtocol) write(operation, id string, out any) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%sResponse><%sResult>", operation, operation)
	if err := writeXML(&b, out); err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>", operation, id, operation)
	return b.Bytes(), nil
}

func (queryProtocol) fault(id string, f fault) []byte {
	side := "Sender"
	if f.ours {
		side = "Receiver"
	}
	var b bytes.Buffer
	b.WriteString("<ErrorResponse><Error>")
	for _, e := range [][2]string{{"Type", side}, {"Code", f.code}, {"Message", f.message}} {
		fmt.Fprintf(&b, "<%s>", e[0])
		_ = xml.EscapeText(&b, []byte(e[1])) // a buffer takes everything
		fmt.Fprintf(&b, "</%s>", e[0])
	}
	fmt.Fprintf(&b, "</Error><RequestId>%s</RequestId></ErrorResponse>", id)
	return b.Bytes()
}

func (queryProtocol) headers() map[string]string {
	return map[string]string{"Content-Type": "text/xml"}
}
