package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/hoplab/hoplab/internal/lab/agent"
)

// only13 is what AWS's agents speak: TLS 1.3 and nothing older (section 4 of
// the semantics). Its three cipher suites are those that Envoy has for it.
func only13() *tlsv3.TlsParameters {
	return &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3}
}

// downstreamTLS is how an ingress takes connections; nil in plain text. No
// certificate is asked of who calls: a load balancer has none.
func (g *generator) downstreamTLS(in agent.Ingress) *corev3.TransportSocket {
	if in.Certificate == nil {
		return nil
	}
	return g.transport(&tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams: only13(), AlpnProtocols: in.Protocol.NextProtocols(),
		TlsCertificates: []*tlsv3.TlsCertificate{{CertificateChain: inline(in.Certificate.Cert), PrivateKey: inline(in.Certificate.Key)}},
	}})
}

// upstreamTLS is how an egress calls the tasks of an endpoint; nil in plain
// text. Their certificates must be of the lab's authority and for the endpoint.
func (g *generator) upstreamTLS(e agent.Egress) *corev3.TransportSocket {
	if e.TLS == nil {
		return nil
	}
	return g.transport(&tlsv3.UpstreamTlsContext{Sni: e.TLS.Name, CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams: only13(), AlpnProtocols: e.Protocol.NextProtocols(),
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: inline(e.TLS.Authority),
			MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
				SanType: tlsv3.SubjectAltNameMatcher_DNS,
				Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: e.TLS.Name}},
			}},
		}},
	}})
}

func (g *generator) transport(context proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: g.pack(context)},
	}
}

func inline(text []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: text}}
}
