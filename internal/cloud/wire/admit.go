package wire

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Listen listens on a TCP address of this machine's loopback, HOST:PORT with
// port 0 for any that is free. Another address is an error: whoever reaches the
// endpoint can start programs here.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w; HOST:PORT was expected", address, err)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("address %q is not on loopback; 127.0.0.1:PORT was expected", address)
	}
	return net.Listen("tcp", address)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// admit returns the service that a request is signed for. Browsers cannot give
// an Authorization header to another origin without asking first, which is
// refused for it has none itself; and a name that was made to resolve to
// loopback shows in Host.
func admit(r *http.Request) (service string, err error) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if !loopback(host) {
		return "", refusal(CodeRefused, "hoplab cloud answers requests to localhost only, and Host is %q", r.Host)
	}
	service, ok := signedFor(r.Header.Get("Authorization"))
	if !ok {
		return "", refusal("MissingAuthenticationToken",
			"the request has no AWS signature; set what hoplab cloud env prints and use an AWS client")
	}
	return service, nil
}

// signedFor reads the service out of the scope of a version 4 signature,
// Credential=KEY/DATE/REGION/SERVICE/aws4_request.
func signedFor(authorization string) (service string, ok bool) {
	rest, ok := strings.CutPrefix(authorization, "AWS4-HMAC-SHA256 ")
	if !ok {
		return "", false
	}
	for _, part := range strings.Split(rest, ",") {
		scope, ok := strings.CutPrefix(strings.TrimSpace(part), "Credential=")
		if !ok {
			continue
		}
		fields := strings.Split(scope, "/")
		if len(fields) != 5 || fields[4] != "aws4_request" || fields[3] == "" {
			return "", false
		}
		return fields[3], true
	}
	return "", false
}
