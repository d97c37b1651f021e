package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"testing"
	"time"
)

func authority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *Authority, names ...string) *Pair {
	t.Helper()
	p, err := a.Issue(names...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// parse returns the certificates of a PEM text, in order.
func parse(t *testing.T, text []byte) (certs []*x509.Certificate) {
	t.Helper()
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			t.Fatalf("no certificate in %q", text)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certs, text = append(certs, c), rest
	}
	return certs
}

// trusting is a client that trusts the authority alone.
func trusting(t *testing.T, a *Authority, name string) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.PEM) {
		t.Fatal("the authority's PEM holds no certificate")
	}
	return &tls.Config{RootCAs: roots, ServerName: name}
}

// handshake connects a client to a server in memory and returns what the
// client saw of the connection, or why it refused it.
func handshake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	limit := time.Now().Add(5 * time.Second)
	near.SetDeadline(limit)
	far.SetDeadline(limit)
	served := make(chan struct{})
	go func() {
		defer close(served)
		s := tls.Server(far, server)
		if s.Handshake() == nil {
			s.Read(make([]byte, 1)) // the client's close
		}
		far.Close()
	}()
	c := tls.Client(near, client)
	err := c.Handshake()
	state := c.ConnectionState()
	near.Close()
	<-served
	return state, err
}

// TestTrust: who trusts the authority takes its certificates, for their names
// and no others; who trusts another one does not.
func TestTrust(t *testing.T) {
	a := authority(t)
	server, err := issue(t, a, "app.example.test", "*.internal.test").Server("h2", "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		client *tls.Config
		refuse string
	}{
		"first name":     {trusting(t, a, "app.example.test"), ""},
		"wildcard":       {trusting(t, a, "x.internal.test"), ""},
		"another name":   {trusting(t, a, "other.example.test"), "not other.example.test"},
		"another's root": {trusting(t, authority(t), "app.example.test"), "unknown authority"},
		"the system's":   {&tls.Config{ServerName: "app.example.test", RootCAs: x509.NewCertPool()}, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			c.client.NextProtos = []string{"http/1.1"}
			state, err := handshake(t, server, c.client)
			switch {
			case c.refuse == "" && (err != nil || state.NegotiatedProtocol != "http/1.1"):
				t.Errorf("protocol %q, error %v; want http/1.1 and none", state.NegotiatedProtocol, err)
			case c.refuse != "" && (err == nil || !strings.Contains(err.Error(), c.refuse)):
				t.Errorf("error %v, want one that says %q", err, c.refuse)
			}
		})
	}
}

// TestOldProtocols: a server takes TLS 1.2, as a load balancer's oldest
// current policy does, and nothing older.
func TestOldProtocols(t *testing.T) {
	a := authority(t)
	server, err := issue(t, a, "a.test").Server()
	if err != nil {
		t.Fatal(err)
	}
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		client := trusting(t, a, "a.test")
		client.MinVersion, client.MaxVersion = version, version
		if _, err := handshake(t, server, client); err == nil != ok {
			t.Errorf("%s: error %v, want none: %v", tls.VersionName(version), err, ok)
		}
	}
}

// TestAuthorityMaySign and nothing else; a certificate that it issued may not sign.
func TestAuthorityMaySign(t *testing.T) {
	a := authority(t)
	chain := parse(t, issue(t, a, "a.test", "b.test").Cert)
	if len(chain) != 2 {
		t.Fatalf("a chain of %d certificates, want the leaf and the authority", len(chain))
	}
	leaf, root := chain[0], chain[1]
	if !root.Equal(parse(t, a.PEM)[0]) {
		t.Error("the chain ends in another authority")
	}
	if !root.IsCA || root.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("the authority: CA %v, key usage %b", root.IsCA, root.KeyUsage)
	}
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 ||
		len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("the leaf: CA %v, key usage %b, extended %v; want server authentication only", leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage)
	}
	if leaf.Subject.CommonName != "a.test" || strings.Join(leaf.DNSNames, " ") != "a.test b.test" {
		t.Errorf("names %q and %q", leaf.Subject.CommonName, leaf.DNSNames)
	}
	for _, c := range chain {
		if now := time.Now(); now.Before(c.NotBefore) || c.NotAfter.Sub(now) < 29*24*time.Hour {
			t.Errorf("%s is valid from %s to %s: a lab may live for 29 days", c.Subject.CommonName, c.NotBefore, c.NotAfter)
		}
	}
}

// TestEachIsNew: two certificates of one authority share neither key nor
// serial number, and two authorities nothing.
func TestEachIsNew(t *testing.T) {
	a := authority(t)
	p, q := issue(t, a, "a.test"), issue(t, a, "a.test")
	if string(p.Key) == string(q.Key) {
		t.Error("two certificates share a key")
	}
	if parse(t, p.Cert)[0].SerialNumber.Cmp(parse(t, q.Cert)[0].SerialNumber) == 0 {
		t.Error("two certificates share a serial number")
	}
	if string(a.PEM) == string(authority(t).PEM) {
		t.Error("two authorities are the same")
	}
}

// TestThrowaway: a peer that verifies refuses it, one that does not takes it.
func TestThrowaway(t *testing.T) {
	server, err := Throwaway("task", "h2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(t, server, trusting(t, authority(t), "task")); err == nil {
		t.Error("a client that verifies took a throw-away certificate")
	}
	client := Unverified("whatever.test", tls.VersionTLS13)
	client.NextProtos = []string{"h2"}
	state, err := handshake(t, server, client)
	if err != nil || state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 {
		t.Errorf("protocol %q, version %s, error %v", state.NegotiatedProtocol, tls.VersionName(state.Version), err)
	}
	if client.ServerName != "whatever.test" {
		t.Errorf("the client asks for %q", client.ServerName)
	}
	old := server.Clone()
	old.MaxVersion = tls.VersionTLS12
	if _, err := handshake(t, old, client); err == nil {
		t.Error("a client with a minimum of TLS 1.3 took TLS 1.2")
	}
}

// TestPairOfTwo: a key of another certificate is no pair.
func TestPairOfTwo(t *testing.T) {
	a := authority(t)
	p := &Pair{Cert: issue(t, a, "a.test").Cert, Key: issue(t, a, "a.test").Key}
	if _, err := p.Server(); err == nil {
		t.Error("a certificate with another one's key was taken")
	}
}
