package stacks

import (
	"fmt"
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	acm "github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53targets"
	"github.com/aws/jsii-runtime-go"
)

// PublicEdge is a load balancer that faces the internet with HTTP and HTTPS.
type PublicEdge struct {
	// DomainName is the name of the site, "" when the caller's own DNS leads here.
	DomainName string
	// HostedZoneID is the Route 53 zone for the name's records, "" for none.
	HostedZoneID string
	// CertificateARN is an ACM certificate; "" makes one, validated in the zone.
	CertificateARN string
	// Redirect answers HTTP with 301 to HTTPS; otherwise HTTP is forwarded too.
	Redirect bool
	// DualStack gives the load balancer IPv6 addresses as well.
	DualStack bool
}

var (
	domainName     = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)
	hostedZoneID   = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	certificateARN = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+$`)
)

// public reads the keys of the public edge; nil for the internal one.
func (r *reader) public() *PublicEdge {
	public := r.choice("edge", "internal", "public") == "public"
	e := &PublicEdge{
		DomainName:     r.match("domainName", domainName, "a lower-case name such as api.example.com"),
		HostedZoneID:   r.match("hostedZoneId", hostedZoneID, "the id of a Route 53 hosted zone such as Z0123456789ABC"),
		CertificateARN: r.match("certificateArn", certificateARN, "the ARN of an ACM certificate in the stack's region"),
		Redirect:       r.choice("httpMode", "redirect", "forward") == "redirect",
		DualStack:      r.choice("ipAddressType", "ipv4", "dualstack") == "dualstack",
	}
	if !public {
		r.refuse("it belongs to the public load balancer; add -c edge=public",
			"domainName", "hostedZoneId", "certificateArn", "httpMode", "ipAddressType")
		return nil
	}
	switch {
	case e.CertificateARN == "" && e.DomainName == "":
		r.fail("edge=public: HTTPS needs a certificate; add -c domainName=... -c hostedZoneId=..., or -c certificateArn=...")
	case e.CertificateARN == "" && e.HostedZoneID == "":
		r.fail("domainName=%s: without -c hostedZoneId=... no certificate can be validated; add it, or -c certificateArn=...", e.DomainName)
	case e.HostedZoneID != "" && e.DomainName == "":
		r.fail("hostedZoneId=%s: no name to put into the zone; add -c domainName=...", e.HostedZoneID)
	}
	return e
}

// newInternalAlb makes the load balancer of the third article: private
// subnets, and callers in the VPC only.
func (a *App) newInternalAlb(arms []Arm) {
	for _, arm := range arms {
		a.AlbGroup.AddIngressRule(awsec2.Peer_Ipv4(jsii.String(vpcCIDR)), awsec2.Port_Tcp(jsii.Number(arm.Listener)),
			jsii.String(fmt.Sprintf("callers in the VPC to listener %d", arm.Listener)), nil)
	}
	a.alb = a.newAlb(a.network.private(), false, false)
	output(a.Stack, "AlbDnsName", a.alb.LoadBalancerDnsName(), "internal load balancer; resolves and answers inside the VPC only")
}

// newPublicAlb makes the load balancer of the second article: public subnets,
// 80 and 443 open to everyone, HTTPS with the site's certificate.
func (a *App) newPublicAlb(e *PublicEdge) {
	for _, p := range []int{80, 443} {
		why := jsii.String(fmt.Sprintf("everyone to listener %d", p))
		a.AlbGroup.AddIngressRule(awsec2.Peer_AnyIpv4(), awsec2.Port_Tcp(jsii.Number(p)), why, nil)
		if e.DualStack { // without an IPv6 address the rule would do nothing
			a.AlbGroup.AddIngressRule(awsec2.Peer_AnyIpv6(), awsec2.Port_Tcp(jsii.Number(p)), why, nil)
		}
	}
	suppressNag(a.AlbGroup, "AwsSolutions-EC23", "A public load balancer is for everyone: 80 and 443 are open, its targets are not.")
	a.alb = a.newAlb(&awsec2.SubnetSelection{SubnetGroupName: jsii.String("Public")}, true, e.DualStack)
	output(a.Stack, "AlbDnsName", a.alb.LoadBalancerDnsName(), "public load balancer")

	if e.HostedZoneID != "" {
		// The zone is known by its id alone. Its name only serves CDK to
		// complete record names, and ours is complete.
		a.zone = awsroute53.HostedZone_FromHostedZoneAttributes(a.Stack, jsii.String("Zone"), &awsroute53.HostedZoneAttributes{
			HostedZoneId: jsii.String(e.HostedZoneID),
			ZoneName:     jsii.String(e.DomainName),
		})
		target := awsroute53.RecordTarget_FromAlias(awsroute53targets.NewLoadBalancerTarget(a.alb, nil))
		awsroute53.NewARecord(a.Stack, jsii.String("Alias"), &awsroute53.ARecordProps{Zone: a.zone, Target: target})
		if e.DualStack {
			awsroute53.NewAaaaRecord(a.Stack, jsii.String("AliasIpv6"), &awsroute53.AaaaRecordProps{Zone: a.zone, Target: target})
		}
	}
}

func (a *App) newAlb(subnets *awsec2.SubnetSelection, public, dualStack bool) elb.ApplicationLoadBalancer {
	addresses := elb.IpAddressType_IPV4
	if dualStack {
		addresses = elb.IpAddressType_DUAL_STACK
	}
	alb := elb.NewApplicationLoadBalancer(a.Stack, jsii.String("Alb"), &elb.ApplicationLoadBalancerProps{
		Vpc:                     a.network.VPC,
		InternetFacing:          jsii.Bool(public),
		IpAddressType:           addresses,
		SecurityGroup:           sealed(a.Stack, "AlbSgSealed", a.AlbGroup),
		VpcSubnets:              subnets,
		DropInvalidHeaderFields: jsii.Bool(true),
		DeletionProtection:      jsii.Bool(false), // cdk destroy must be able to remove it
	})
	output(a.Stack, "AlbFullName", alb.LoadBalancerFullName(), "dimension LoadBalancer of its CloudWatch metrics")
	suppressNag(alb, "AwsSolutions-ELB2", "Every request is in the app's log, and in the agent's when it passes one; access logs would need a bucket that outlives the experiment.")
	return alb
}

// listen adds the listeners of one arm, and returns its URL.
func (a *App) listen(arm Arm, e *PublicEdge, group elb.ApplicationTargetGroup) *string {
	forward := elb.ListenerAction_Forward(&[]elb.IApplicationTargetGroup{group}, nil)
	if e == nil {
		a.alb.AddListener(jsii.String(arm.title()+"Listener"), &elb.BaseApplicationListenerProps{
			Port:          jsii.Number(arm.Listener),
			Protocol:      elb.ApplicationProtocol_HTTP,
			Open:          jsii.Bool(false), // the group's rules are written out beside the load balancer
			DefaultAction: forward,
		})
		return a.url("http", a.alb.LoadBalancerDnsName(), fmt.Sprintf(":%d", arm.Listener))
	}
	a.alb.AddListener(jsii.String("HttpsListener"), &elb.BaseApplicationListenerProps{
		Port:          jsii.Number(443),
		Protocol:      elb.ApplicationProtocol_HTTPS,
		Certificates:  &[]elb.IListenerCertificate{a.certificate(e)},
		SslPolicy:     elb.SslPolicy_RECOMMENDED_TLS,
		Open:          jsii.Bool(false),
		DefaultAction: forward,
	})
	http := forward
	if e.Redirect {
		http = elb.ListenerAction_Redirect(&elb.RedirectOptions{
			Protocol: jsii.String("HTTPS"), Port: jsii.String("443"), Permanent: jsii.Bool(true),
		})
	}
	a.alb.AddListener(jsii.String("HttpListener"), &elb.BaseApplicationListenerProps{
		Port:          jsii.Number(80),
		Protocol:      elb.ApplicationProtocol_HTTP,
		Open:          jsii.Bool(false),
		DefaultAction: http,
	})
	name := jsii.String(e.DomainName)
	if e.DomainName == "" {
		name = a.alb.LoadBalancerDnsName()
	}
	return a.url("https", name, "")
}

func (a *App) url(scheme string, host *string, port string) *string {
	return awscdk.Fn_Join(jsii.String(""), &[]*string{jsii.String(scheme + "://"), host, jsii.String(port)})
}

// certificate returns the site's certificate, made here unless one was given.
func (a *App) certificate(e *PublicEdge) elb.IListenerCertificate {
	if e.CertificateARN != "" {
		return elb.ListenerCertificate_FromArn(jsii.String(e.CertificateARN))
	}
	return acm.NewCertificate(a.Stack, jsii.String("Certificate"), &acm.CertificateProps{
		DomainName: jsii.String(e.DomainName),
		Validation: acm.CertificateValidation_FromDns(a.zone),
	})
}
