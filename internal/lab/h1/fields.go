package h1

// ID names the header fields that a hop looks at; Other is every other one.
type ID uint8

// The fields that some hop reads, rewrites or drops.
const (
	Other ID = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	KeepAlive
	ProxyConnection
	TE
	Trailer
	Upgrade
	Expect
	Server
	Date
	UserAgent
	ContentType
	XForwardedFor
	XForwardedProto
	XForwardedPort
	XAmznTraceID
	XRequestID
	EnvoyServiceTime
	EnvoyTimeout
	EnvoyOriginalPath
	GRPCStatus
	// StreamLength and StreamError are in what the HTTP/2 codecs make of
	// responses alone: the length of a body that has trailers too, which
	// HTTP/1.1 cannot say, and how a stream ended that had no response.
	StreamLength
	StreamError
	// Gone is a field that a hop has taken out of a message it passes on.
	Gone
)

// The names of StreamLength and StreamError, and the value of the first for a
// message that ended with its head and said no length.
const (
	StreamLengthName = streamPrefix + "length"
	StreamErrorName  = streamPrefix + "error"
	streamPrefix     = "x-hoplab-stream-"
	NoLength         = "none"
)

// Escape begins the names of fields that the HTTP/2 codecs and a hop hide from
// net/http, which would change them: the field's own name follows, or one of
// those below for what HTTP/1.1 says elsewhere or cannot say. A field whose own name
// begins so is hidden too.
const Escape = "x-hoplab-as-"

// What an escaped field of a request may stand for beside a field.
const (
	EscapedPath   = Escape + "path"   // the target
	EscapedHost   = Escape + "host"   // the authority
	EscapedScheme = Escape + "scheme" // :scheme, when it is not http
	EscapedLength = Escape + "length" // NoLength: there is no Content-Length
	// EscapedProtocol is what a stream is to become (RFC 8441). It is between a codec's
	// two sides alone, and never in what a hop writes.
	EscapedProtocol = Escape + "protocol"
)

var names = map[string]ID{
	"host": Host, "content-length": ContentLength, "transfer-encoding": TransferEncoding,
	"connection": Connection, "keep-alive": KeepAlive, "proxy-connection": ProxyConnection,
	"te": TE, "trailer": Trailer, "upgrade": Upgrade, "expect": Expect, "server": Server,
	"date": Date, "user-agent": UserAgent, "content-type": ContentType, "x-forwarded-for": XForwardedFor,
	"x-forwarded-proto": XForwardedProto, "x-forwarded-port": XForwardedPort,
	"x-amzn-trace-id": XAmznTraceID, "x-request-id": XRequestID,
	"x-envoy-upstream-service-time":  EnvoyServiceTime,
	"x-envoy-expected-rq-timeout-ms": EnvoyTimeout, "x-envoy-original-path": EnvoyOriginalPath, "grpc-status": GRPCStatus,
	StreamLengthName: StreamLength, StreamErrorName: StreamError,
}

// byLength lists the known names by their length, so that most fields are
// told apart without a comparison.
var byLength [48][]known

type known struct {
	name string
	id   ID
}

func init() {
	for n, id := range names {
		know(n, id)
	}
}

func know(name string, id ID) { byLength[len(name)] = append(byLength[len(name)], known{name, id}) }

func idOf(name []byte) ID {
	if len(name) >= len(byLength) {
		return Other
	}
	list := byLength[len(name)]
	for i := range list {
		if k := &list[i]; name[0]|0x20 == k.name[0] && equalFold(name, k.name) {
			return k.id
		}
	}
	return Other
}

// HopByHop reports whether a field concerns one connection only and is never
// forwarded (RFC 9110 section 7.6.1). Upgrade is among them; a hop that
// tunnels writes its own.
func (id ID) HopByHop() bool {
	switch id {
	case Connection, KeepAlive, ProxyConnection, TE, Upgrade, Expect:
		return true
	}
	return false
}
