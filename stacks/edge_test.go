package stacks

import (
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/layer"
)

func TestPublicEdge(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	tpl := built(t, keys{"edge": "public", "domainName": "api.example.com", "hostedZoneId": "Z0123456789ABC",
		"ipAddressType": "dualstack"}, "App")
	_, alb := only(t, tpl, "AWS::ElasticLoadBalancingV2::LoadBalancer")
	expect(t, "load balancer", alb.Properties, "internet-facing", "Scheme")
	expect(t, "load balancer", alb.Properties, "dualstack", "IpAddressType")
	for i := range 2 {
		subnet, _ := at(alb.Properties, "Subnets", i, "Fn::ImportValue").(string)
		if !strings.Contains(subnet, "PublicSubnet") {
			t.Errorf("subnet %q of a public load balancer is not public", subnet)
		}
	}

	byPort := map[float64]*templateResource{}
	for _, l := range tpl.of("AWS::ElasticLoadBalancingV2::Listener") {
		byPort[l.Properties["Port"].(float64)] = l
	}
	if len(byPort) != 2 || byPort[80] == nil || byPort[443] == nil {
		t.Fatalf("listeners %v, expected 80 and 443", byPort)
	}
	expect(t, "HTTP", byPort[80].Properties, "redirect", "DefaultActions", 0, "Type")
	expect(t, "HTTP", byPort[80].Properties, map[string]any{"Protocol": "HTTPS", "Port": "443",
		"StatusCode": "HTTP_301"}, "DefaultActions", 0, "RedirectConfig")
	expect(t, "HTTPS", byPort[443].Properties, "forward", "DefaultActions", 0, "Type")
	expect(t, "HTTPS", byPort[443].Properties, "HTTPS", "Protocol")
	if policy, _ := byPort[443].Properties["SslPolicy"].(string); !strings.HasPrefix(policy, "ELBSecurityPolicy-TLS13-1-2-") {
		t.Errorf("TLS policy %q, expected one with TLS 1.3 and nothing below 1.2", policy)
	}

	id, certificate := only(t, tpl, "AWS::CertificateManager::Certificate")
	expect(t, "HTTPS", byPort[443].Properties, id, "Certificates", 0, "CertificateArn", "Ref")
	expect(t, "certificate", certificate.Properties, "api.example.com", "DomainName")
	expect(t, "certificate", certificate.Properties, "DNS", "ValidationMethod")
	expect(t, "certificate", certificate.Properties, "Z0123456789ABC", "DomainValidationOptions", 0, "HostedZoneId")

	types := map[any]bool{}
	for id, r := range tpl.of("AWS::Route53::RecordSet") {
		types[r.Properties["Type"]] = true
		expect(t, id, r.Properties, "api.example.com.", "Name")
		expect(t, id, r.Properties, "CanonicalHostedZoneID", "AliasTarget", "HostedZoneId", "Fn::GetAtt", 1)
	}
	if len(types) != 2 || !types["A"] || !types["AAAA"] {
		t.Errorf("records %v, expected A and AAAA", types)
	}
	_, group := only(t, tpl, "AWS::ElasticLoadBalancingV2::TargetGroup")
	expect(t, "target group", group.Properties, "/api/v1/health_check", "HealthCheckPath")
	expect(t, "target group", group.Properties, "ip", "TargetType")

	inbound := map[string]bool{}
	for id, g := range tpl.of("AWS::EC2::SecurityGroup") {
		if strings.HasPrefix(id, "AlbSg") {
			for _, rule := range list(g.Properties["SecurityGroupIngress"]) {
				for _, family := range []string{"CidrIp", "CidrIpv6"} {
					if cidr, ok := at(rule, family).(string); ok {
						inbound[cidr+" "+text(at(rule, "FromPort"))] = true
					}
				}
			}
		}
	}
	for _, want := range []string{"0.0.0.0/0 80", "0.0.0.0/0 443", "::/0 80", "::/0 443"} {
		if !inbound[want] {
			t.Errorf("no inbound rule %s in %v", want, inbound)
		}
	}
}

// TestPublicEdgeVariants: what the certificate, the name and the modes change.
func TestPublicEdgeVariants(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	t.Run("IPv4 with a certificate of one's own", func(t *testing.T) {
		tpl := built(t, keys{"edge": "public", "certificateArn": anARN, "httpMode": "forward"}, "App")
		for _, kind := range []string{"AWS::CertificateManager::Certificate", "AWS::Route53::RecordSet"} {
			if n := len(tpl.of(kind)); n != 0 {
				t.Errorf("%d resources of type %s, expected none", n, kind)
			}
		}
		groups := map[any]bool{}
		for id, l := range tpl.of("AWS::ElasticLoadBalancingV2::Listener") {
			expect(t, id, l.Properties, "forward", "DefaultActions", 0, "Type")
			groups[at(l.Properties, "DefaultActions", 0, "TargetGroupArn", "Ref")] = true
		}
		if len(groups) != 1 {
			t.Errorf("both listeners should forward to one group, they have %v", groups)
		}
		for id, g := range tpl.of("AWS::EC2::SecurityGroup") {
			for _, rule := range list(g.Properties["SecurityGroupIngress"]) {
				if at(rule, "CidrIpv6") != nil {
					t.Errorf("%s opens IPv6 on a load balancer that has none", id)
				}
			}
		}
	})
	t.Run("certificate of one's own and our DNS", func(t *testing.T) {
		tpl := built(t, keys{"edge": "public", "certificateArn": anARN, "domainName": "api.example.com", "hostedZoneId": "Z0123456789ABC"}, "App")
		if n := len(tpl.of("AWS::CertificateManager::Certificate")); n != 0 {
			t.Errorf("%d certificates made beside the given one", n)
		}
		_, record := only(t, tpl, "AWS::Route53::RecordSet")
		expect(t, "record", record.Properties, "A", "Type")
	})
}

// TestHost: the first article's host, and the log line that it is about.
func TestHost(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	tpl := built(t, keys{"host": "ec2-nginx", "albEgress": "none"}, "Host")
	_, instance := only(t, tpl, "AWS::EC2::Instance")
	userData, _ := at(instance.Properties, "UserData", "Fn::Base64").(string)
	for _, field := range []string{ // of the article's sample
		"time", "msec", "remote_addr", "server_addr", "server_port", "x_forwarded_for", "x_forwarded_port", "x_forwarded_proto",
		"host", "request", "request_method", "request_uri", "status", "request_length", "body_bytes_sent", "bytes_sent", "request_time",
		"user_agent", "http_connection", "http_accept", "connection", "connection_requests", "tcpinfo_rtt", "tcpinfo_rttvar",
	} {
		if !strings.Contains(userData, `"`+field+`":`) {
			t.Errorf("nginx does not log %s", field)
		}
	}
	_, group := only(t, tpl, "AWS::ElasticLoadBalancingV2::TargetGroup")
	expect(t, "target group", group.Properties, "instance", "TargetType")
	expect(t, "target group", group.Properties, 10.0, "HealthCheckIntervalSeconds")
	expect(t, "target group", group.Properties, 2.0, "HealthyThresholdCount")
	expect(t, "target group", group.Properties, 2.0, "UnhealthyThresholdCount")
	if n := len(tpl.of("AWS::EC2::SecurityGroupEgress")); n != 0 {
		t.Errorf("%d egress rules, expected none", n)
	}
}
