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
)

var names = map[string]ID{
	"host": Host, "content-length": ContentLength, "transfer-encoding": TransferEncoding,
	"connection": Connection, "keep-alive": KeepAlive, "proxy-connection": ProxyConnection,
	"te": TE, "trailer": Trailer, "upgrade": Upgrade, "expect": Expect, "server": Server,
	"date": Date, "user-agent": UserAgent, "content-type": ContentType, "x-forwarded-for": XForwardedFor,
	"x-forwarded-proto": XForwardedProto, "x-forwarded-port": XForwardedPort,
	"x-amzn-trace-id": XAmznTraceID, "x-request-id": XRequestID,
	"x-envoy-upstream-service-time":  EnvoyServiceTime,
	"x-envoy-expected-rq-timeout-ms": EnvoyTimeout,
}

// byLength lists the known names by their length, so that most fields are
// told apart without a comparison.
var byLength = func() (t [32][]struct {
	name string
	id   ID
}) {
	for n, id := range names {
		t[len(n)] = append(t[len(n)], struct {
			name string
			id   ID
		}{n, id})
	}
	return t
}()

func idOf(name []byte) ID {
	if len(name) >= len(byLength) {
		return Other
	}
	for _, k := range byLength[len(name)] {
		if equalFold(name, k.name) {
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
