package envoy

import (
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	withoutqueryv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/req_without_query/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/hoplab/hoplab/internal/lab/agent"
)

// The formats of section 4 of the semantics. The documented HTTP formats hold
// no response flags. Where in its line HTTP/2 and gRPC have their extra fields
// is not shown by a sample: here they stand last.
const (
	httpLine = `[%START_TIME%] "%REQ(:METHOD)% PATH %PROTOCOL%" %RESPONSE_CODE% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ` +
		`%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"`
	tcpLine = `[%START_TIME%] %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ` +
		`%CONNECTION_TERMINATION_DETAILS% %CONNECTION_ID%`
	pathWithQuery    = "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"
	pathWithoutQuery = "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%"
)

func httpFields(path string) map[string]any {
	return map[string]any{
		"start_time": "%START_TIME%", "method": "%REQ(:METHOD)%", "path": path, "protocol": "%PROTOCOL%",
		"response_code": "%RESPONSE_CODE%", "bytes_received": "%BYTES_RECEIVED%", "bytes_sent": "%BYTES_SENT%",
		"duration": "%DURATION%", "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
		"forwarded_for": "%REQ(X-FORWARDED-FOR)%", "user_agent": "%REQ(USER-AGENT)%", "request_id": "%REQ(X-REQUEST-ID)%",
		"authority": "%REQ(:AUTHORITY)%", "upstream_host": "%UPSTREAM_HOST%",
	}
}

func tcpFields() map[string]any {
	return map[string]any{
		"start_time": "%START_TIME%", "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
		"downstream_remote_port": "%DOWNSTREAM_REMOTE_PORT%", "bytes_received": "%BYTES_RECEIVED%", "bytes_sent": "%BYTES_SENT%",
		"duration": "%DURATION%", "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%", "connection_id": "%CONNECTION_ID%",
	}
}

// accessLog is the log of one listener; none unless the service has one.
func (g *generator) accessLog(p agent.Protocol) []*accesslogv3.AccessLog {
	c := g.cfg.AccessLog
	if c == nil {
		return nil
	}
	path := g.log
	if path == "" {
		path = "/dev/stdout"
	}
	f := &corev3.SubstitutionFormatString{}
	if c.Format == "JSON" {
		f.Format = &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: g.fields(p, c.Query)}
	} else {
		f.Format = &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: line(p, c.Query) + "\n"},
		}}
	}
	if p != agent.TCP && !c.Query {
		f.Formatters = []*corev3.TypedExtensionConfig{{
			Name: "envoy.formatter.req_without_query", TypedConfig: g.pack(&withoutqueryv3.ReqWithoutQuery{}),
		}}
	}
	return []*accesslogv3.AccessLog{{
		Name: "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: g.pack(&filelogv3.FileAccessLog{
			Path: path, AccessLogFormat: &filelogv3.FileAccessLog_LogFormat{LogFormat: f},
		})},
	}}
}

func (g *generator) fields(p agent.Protocol, query bool) *structpb.Struct {
	fields := tcpFields()
	if p != agent.TCP {
		fields = httpFields(pathField(query))
		if p == agent.HTTP2 || p == agent.GRPC {
			fields["stream_id"] = "%STREAM_ID%"
		}
		if p == agent.GRPC {
			fields["grpc_status"] = "%GRPC_STATUS%"
		}
	}
	s, err := structpb.NewStruct(fields)
	if err != nil && g.err == nil {
		g.err = err
	}
	return s
}

// line is the TEXT format of a protocol.
func line(p agent.Protocol, query bool) string {
	if p == agent.TCP {
		return tcpLine
	}
	s := strings.Replace(httpLine, "PATH", pathField(query), 1)
	if p == agent.HTTP2 || p == agent.GRPC {
		s += " %STREAM_ID%"
	}
	if p == agent.GRPC {
		s += " %GRPC_STATUS%"
	}
	return s
}

func pathField(query bool) string {
	if query {
		return pathWithQuery
	}
	return pathWithoutQuery
}
