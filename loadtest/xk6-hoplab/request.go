package hoplab

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// field is a line of a request's header.
type field struct{ name, value string }

// fieldsOf are the header lines of every request to u beside those that the
// protocol itself needs. Host and User-Agent are what k6/http sends, so that
// both clients cost the path the same, and the load may have others of both.
func fieldsOf(load *samplefile.Load, u *url.URL) ([]field, error) {
	fields := []field{{"Host", u.Host}, {"User-Agent", "hoplab"}}
	if load.SendBody() != "" {
		fields = append(fields, field{"Content-Type", "text/plain"})
	}
	if load.Request == nil {
		return fields, nil
	}
	for _, line := range load.Request.Headers {
		name, value, err := samplefile.SplitHeader(line)
		if err != nil {
			return nil, err
		}
		if value, err = samplefile.Expand(value, os.LookupEnv); err != nil {
			return nil, errors.New("header " + name + ": " + err.Error())
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, errors.New("header " + name + ": its value has a line break")
		}
		replaced := false
		for i, f := range fields {
			if i < 3 && strings.EqualFold(f.name, name) && !replaced {
				fields[i].value, replaced = value, true
			}
		}
		if !replaced {
			fields = append(fields, field{name, value})
		}
	}
	return fields, nil
}

// h1Request is a request as HTTP/1.1 writes it.
func h1Request(load *samplefile.Load, u *url.URL, fields []field) []byte {
	var b bytes.Buffer
	b.WriteString(load.SendMethod() + " " + u.RequestURI() + " HTTP/1.1\r\n")
	for _, f := range fields {
		b.WriteString(f.name + ": " + f.value + "\r\n")
	}
	body := load.SendBody()
	if body != "" || load.SendMethod() == http.MethodPost || load.SendMethod() == http.MethodPut {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	if !load.KeepAlive {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// h2Request is what each request over HTTP/2 is a copy of.
func h2Request(load *samplefile.Load, u *url.URL, fields []field) *http.Request {
	to := *u
	r := &http.Request{Method: load.SendMethod(), URL: &to, Header: http.Header{}, ContentLength: int64(len(load.SendBody()))}
	for _, f := range fields {
		if strings.EqualFold(f.name, "Host") {
			r.Host = f.value
			continue
		}
		r.Header.Add(f.name, f.value)
	}
	r.Header.Set("Accept-Encoding", "identity") // or the transport asks for gzip by itself
	return r
}

// trusting is a TLS configuration that takes the certificates of the load's
// authority and no others, where the load names one.
func trusting(load *samplefile.Load, base *tls.Config) (*tls.Config, error) {
	if load.Request == nil || load.Request.CA == "" {
		return base, nil
	}
	cfg := base.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM([]byte(load.Request.CA)) {
		return nil, errors.New("the load's ca holds no certificate in PEM")
	}
	return cfg, nil
}

// counted reads through a connection's counter.
type counted struct {
	net.Conn
	in *counter
}

func (c counted) Read(b []byte) (int, error) { return c.in.Read(b) }

// multiplex begins HTTP/2 on a connection, which has its TLS already.
func (p *persistent) multiplex() error {
	t := http.Transport{DisableCompression: true, Protocols: new(http.Protocols),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return counted{p.Conn, &p.in}, nil }}
	t.Protocols.SetUnencryptedHTTP2(true)
	cc, err := t.NewClientConn(context.Background(), "http", p.RemoteAddr().String())
	if err != nil {
		_ = p.Close()
		return err
	}
	p.h2 = cc
	return nil
}

// stream is roundTrip over HTTP/2. The sizes of the header are those of its
// names and values, as nobody sees what compression makes of them.
func (p *persistent) stream(ctx context.Context, t *target, load *samplefile.Load) (samplefile.Outcome, error) {
	o := samplefile.Outcome{ServiceMs: -1}
	r := t.model.WithContext(ctx)
	if body := load.SendBody(); body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	resp, err := p.h2.RoundTrip(r)
	if err != nil {
		return o, err
	}
	o.Status = resp.StatusCode
	for name, values := range resp.Header {
		for _, v := range values {
			o.HeaderBytes += len(name) + len(v)
		}
	}
	evidence(&o, resp.Header.Values, load)
	n, err := io.Copy(io.Discard, resp.Body)
	o.BodyBytes = int(n)
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	return o, err
}
