// Package certs makes the certificates of a lab: an authority for the load
// balancers' listeners, which a client can be told to trust, and one for the
// agents, in the place of the private CA that a deployment names; and throw-away
// ones for peers that do not verify.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Authority signs certificates for one lab. Its key never leaves the process.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	PEM  []byte // the certificate, for clients
}

// lifetime is how long a certificate is valid.
const lifetime = 30 * 24 * time.Hour

// NewAuthority makes an authority.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := template("hoplab lab authority")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key, PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // crypto/rand does not fail
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime),
	}
}

// Pair is a certificate chain and its key, in PEM.
type Pair struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

// Issue makes a certificate for the servers of DNS names.
func (a *Authority) Issue(names ...string) (*Pair, error) {
	return a.issue([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, names)
}

// IssueAgent makes the certificate of an endpoint's agents: for its one name,
// and for server and client alike, as the agents' of AWS are seen to be
// (docs/observed.md, number 32).
func (a *Authority) IssueAgent(name string) (*Pair, error) {
	return a.issue([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, []string{name})
}

func (a *Authority) issue(usage []x509.ExtKeyUsage, names []string) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := template(names[0])
	tmpl.DNSNames = names
	tmpl.KeyUsage, tmpl.ExtKeyUsage = x509.KeyUsageDigitalSignature, usage
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &Pair{
		Cert: append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), a.PEM...),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}),
	}, nil
}

// Server returns a server's configuration for the pair.
func (p *Pair) Server(protocols ...string) (*tls.Config, error) {
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{c}, NextProtos: protocols, MinVersion: tls.VersionTLS12}, nil
}

// Throwaway returns a server's configuration with a certificate of an unknown
// authority, for peers that do not verify.
func Throwaway(name string, protocols ...string) (*tls.Config, error) {
	a, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	p, err := a.Issue(name)
	if err != nil {
		return nil, err
	}
	return p.Server(protocols...)
}

// Client returns the configuration of a client that trusts the authority whose
// certificate is in PEM, and no other, for the name. It fails when there is no
// certificate in it.
func Client(authority []byte, name string) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("the authority of %s has no certificate in PEM", name)
	}
	return &tls.Config{RootCAs: pool, ServerName: name, MinVersion: tls.VersionTLS12}, nil
}

// Unverified returns a client's configuration that accepts any certificate,
// as a load balancer does of its targets.
func Unverified(name string, minimum uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: name, MinVersion: minimum}
}
