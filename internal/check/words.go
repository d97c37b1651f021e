package check

import "strings"

// terraform writes the terms of CloudFormation as the AWS provider spells them.
var terraform = strings.NewReplacer(
	"Fn::GetAtt Arn of the namespace", "the namespace's arn",
	"names its namespace by Ref, which gives the namespace's id", "names its namespace by its id",
	"DependsOn", "depends_on",
	"PerRequestTimeoutSeconds", "per_request_timeout_seconds",
	"IdleTimeoutSeconds", "idle_timeout_seconds",
	"IngressPortOverride", "ingress_port_override",
	"ingressPortOverride", "ingress_port_override",
	"HealthCheckGracePeriodSeconds", "health_check_grace_period_seconds",
	"HealthCheckProtocol", "the health_check block's protocol",
	"AccessLogConfiguration", "access_log_configuration",
	"LogConfiguration", "log_configuration",
	"AppProtocol", "appProtocol",
	"AssignPublicIp to ENABLED", "assign_public_ip to true",
	"IpAddressType", "ip_address_type",
	"SslPolicy", "ssl_policy",
	"TargetType", "target_type",
	"DesiredCount", "desired_count",
	"NetworkMode", "network_mode",
	"DiscoveryName", "discovery_name",
	"PortName", "port_name",
	"Add Certificates with", "Set certificate_arn to",
	"CloudFormation's default", "the default",
	"an entry of Services", "a service block",
	"second entry", "second service block",
)

// speak puts the finding into the words of its source and says under which
// condition it holds.
func (f *Finding) speak() {
	if terraformed(f.Origin) {
		for _, s := range []*string{&f.Message, &f.Fix, &f.Effect} {
			*s = terraform.Replace(*s)
		}
	}
	own := ""
	if f.Origin.When != nil {
		own = term(f.Origin.When.Name, true)
	}
	if f.When != "" && f.When != own {
		f.Message += ", when " + f.When
	}
	if f.Origin.Maybe != "" && !strings.Contains(f.Message, "if it exists") {
		f.Message += ", if it exists: " + f.Origin.Maybe
	}
	if f.Origin.Maybe != "" || f.When != "" {
		// A deployment in which it does not exist has no such fault.
		f.Severity = min(f.Severity, Warning)
	}
}

// settles says how an unknown answer can be settled.
func settles(why string) string {
	switch {
	case strings.Contains(why, "--param"), strings.Contains(why, "--var"):
		return "Give the missing value."
	case strings.Contains(why, "deploys blue/green"):
		return "Nothing to give: it is as the last deployment left it."
	case strings.Contains(why, "not modelled"), strings.Contains(why, "not documented"), strings.Contains(why, "not evaluated"):
		return "Nothing to give: hoplab does not follow this, so try it in AWS."
	case strings.Contains(why, "no template here exports"), strings.Contains(why, "is not declared"), strings.Contains(why, "not at hand"),
		strings.Contains(why, "not a local path"), strings.Contains(why, "are not read"), strings.Contains(why, "other stacks"):
		return "Check it together with what declares the missing part."
	}
	return "Give the missing value, or check the whole deployment together."
}
