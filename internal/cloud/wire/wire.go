// Package wire speaks AWS's protocols on the server's side: a request becomes
// an input type of the Go SDK, and what a handler returns, an output type of
// the SDK, becomes the answer. It knows awsQuery (form and XML) and EC2's kind
// of it, awsJson 1.0 and 1.1 and RPC v2 CBOR, and no service: an operation that
// nobody registered is an error that names it, and so is a member that the input
// does not have.
//
// A [Server] is for clients on the same machine. It refuses a request whose
// Host is no loopback name and one without a signature, so that a web page
// cannot reach it; the signature itself is not verified.
package wire

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// Limits of a request's body in bytes. CreateChangeSet with a template of
// 51,200 bytes, AWS's most, takes three times that when every byte is escaped.
const (
	MaxBody   = 1 << 20
	MaxObject = 256 << 20 // of a request to the handler of objects: a zip of CDK's assets
)

// bodyWithin is how long a client may take to send a body: all of it, on this
// machine. Who stalls would hold the room that was reserved for it.
const bodyWithin = time.Minute

// Codes of the errors that the server itself gives.
const (
	CodeUnknownOperation = "InvalidAction"
	CodeMalformed        = "ValidationError"
	CodeRefused          = "AccessDenied"
	CodeInternal         = "InternalFailure"
)

// operation is a handler behind its SDK types.
type operation struct {
	call func(ctx context.Context, input map[string]any) (any, error)
}

// Server dispatches requests to handlers by service and operation. Register
// everything before it serves; serving is safe for concurrent use.
type Server struct {
	operations map[string]operation
	// Objects answers requests that are signed for S3, whose protocol is its
	// own. It may be nil: then such a request is an unknown operation.
	Objects http.Handler
	// Header is added to every answer, so that a client can tell who answers.
	Header http.Header
	// BodyWithin bounds how long a body may take to come; 0 is a minute.
	BodyWithin time.Duration
}

// Handle registers a handler of an operation. The service is the name that
// clients sign for: cloudformation, ecs, elasticloadbalancing, monitoring.
//
// A handler's error should be a [smithy.APIError], as the SDK's modelled errors
// and [smithy.GenericAPIError] are; its code and message reach the client with
// status 400, or 500 where the fault is the server's. Another error becomes
// CodeInternal with its text. Handle panics if the operation is taken.
func Handle[In, Out any](s *Server, service, name string, handler func(context.Context, *In) (*Out, error)) {
	key := service + ":" + name
	if _, ok := s.operations[key]; ok {
		panic("wire: " + key + " is registered twice")
	}
	if s.operations == nil {
		s.operations = map[string]operation{}
	}
	s.operations[key] = operation{call: func(ctx context.Context, input map[string]any) (any, error) {
		in := new(In)
		if err := fill(in, input); err != nil {
			return nil, refusal(CodeMalformed, "%s: %v", key, err)
		}
		out, err := handler(ctx, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// refusal is an error for which the client is to blame.
func refusal(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	maps.Copy(w.Header(), s.Header)
	w.Header().Set("X-Amzn-Requestid", id)
	p := protocolOf(r)
	service, err := admit(r)
	if err != nil {
		writeFault(w, p, id, http.StatusForbidden, err)
		return
	}
	if service == "ec2" {
		p = ec2Protocol{}
	}
	connection := http.NewResponseController(w) // an error of a deadline shows at the read
	_ = connection.SetReadDeadline(time.Now().Add(cmp.Or(s.BodyWithin, bodyWithin)))
	if service == "s3" && s.Objects != nil {
		r.Body = http.MaxBytesReader(w, r.Body, MaxObject)
		s.Objects.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
			err = fmt.Errorf("the body has more than %d bytes, the most that hoplab cloud reads", tooLarge.Limit)
		}
		writeFault(w, p, id, status, refusal(CodeMalformed, "%v", err))
		return
	}
	_ = connection.SetReadDeadline(time.Time{}) // it would end what takes long; until here, it ends the wait for the rest of a body
	s.answer(r.Context(), w, call{protocol: p, service: service, id: id, request: r, body: body})
}

// call is an admitted request with its body.
type call struct {
	protocol    protocol
	service, id string
	request     *http.Request
	body        []byte
}

func (s *Server) answer(ctx context.Context, w http.ResponseWriter, c call) {
	name, input, err := c.protocol.read(c.request, c.body)
	if err != nil {
		writeFault(w, c.protocol, c.id, http.StatusBadRequest, refusal(CodeMalformed, "%s: %v", c.service, err))
		return
	}
	op, ok := s.operations[c.service+":"+name]
	if !ok {
		writeFault(w, c.protocol, c.id, http.StatusBadRequest,
			refusal(CodeUnknownOperation, "hoplab cloud does not know %s:%s", c.service, name))
		return
	}
	out, err := op.call(ctx, input)
	if err != nil {
		writeFault(w, c.protocol, c.id, statusOf(err), err)
		return
	}
	body, err := c.protocol.write(name, c.id, out)
	if err != nil {
		writeFault(w, c.protocol, c.id, http.StatusInternalServerError, fmt.Errorf("%s:%s: writing the answer: %w", c.service, name, err))
		return
	}
	send(w, c.protocol, http.StatusOK, body)
}

func statusOf(err error) int {
	if api := smithy.APIError(nil); errors.As(err, &api) && api.ErrorFault() != smithy.FaultServer {
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func writeFault(w http.ResponseWriter, p protocol, id string, status int, err error) {
	f := fault{code: CodeInternal, message: err.Error(), ours: status >= http.StatusInternalServerError}
	if api := smithy.APIError(nil); errors.As(err, &api) {
		f.code, f.message = api.ErrorCode(), api.ErrorMessage()
	}
	w.Header().Set("X-Amzn-Errortype", f.code)
	send(w, p, status, p.fault(id, f))
}

func send(w http.ResponseWriter, p protocol, status int, body []byte) {
	for name, value := range p.headers() {
		w.Header().Set(name, value)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone; there is nobody to tell
}

// requestID is random, and recognisably not AWS's: it begins with eight zeros.
func requestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{"00000000", h[:4], h[4:8], h[8:12], h[12:]}, "-")
}
