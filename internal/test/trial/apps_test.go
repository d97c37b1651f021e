package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listen binds what the lab asks for and says so as the lab expects it.
func listen() (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("LISTEN_ADDRESS"), os.Getenv("PORT")))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(map[string]string{"msg": "listening", "address": l.Addr().String()})
	}
	return l, err
}

// ledgerApp is an app that writes the id of every request into a ledger
// before it answers, with a system call each, so that a SIGKILL loses
// nothing. The answer is the id, after LEDGER_DELAY.
func ledgerApp() int {
	ledger, err := os.OpenFile(os.Getenv("LEDGER"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	delay, _ := time.ParseDuration(os.Getenv("LEDGER_DELAY"))
	l, err := listen()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	instance := os.Getenv("INSTANCE")
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("id")
		if id != "" {
			fmt.Fprintf(ledger, "%s %s\n", id, instance)
			time.Sleep(delay)
		}
		w.Header().Set("X-Hoplab-App", instance)
		io.WriteString(w, id)
	})}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		srv.Shutdown(context.Background())
	}()
	srv.Serve(l)
	return 0
}

// readLedger returns how often each id was carried out.
func readLedger(t testing.TB, path string) map[int]int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]int{}
	for line := range strings.Lines(string(b)) {
		id, _, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(id)
		if err != nil {
			t.Fatalf("ledger: %q", line)
		}
		out[n]++
	}
	return out
}

// originApp is the cheapest app there is: it looks for the end of each head
// and answers the same few bytes, so that what is measured is the hop.
func originApp() int {
	l, err := listen()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return 0
		}
		go answer(c)
	}
}

var (
	headEnd = []byte("\r\n\r\n")
	closing = []byte("onnection: close")
	hello   = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nDate: Sat, 21 Nov 2026 05:00:00 GMT\r\n\r\nHello World\n")
)

func answer(c net.Conn) {
	defer c.Close()
	buf, n := make([]byte, 16<<10), 0
	for {
		k, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += k
		for {
			i := bytes.Index(buf[:n], headEnd)
			if i < 0 {
				break
			}
			last := bytes.Contains(buf[:i], closing)
			n = copy(buf, buf[i+len(headEnd):n])
			if _, err := c.Write(hello); err != nil || last {
				return
			}
		}
	}
}

// reverseProxy is net/http's ReverseProxy as a careful program sets it up:
// as many idle connections as there are callers.
func reverseProxy(origin string) int {
	p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: origin})
	p.Transport = &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, DisableCompression: true}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(l.Addr())
	go http.Serve(l, p)
	io.Copy(io.Discard, os.Stdin)
	return 0
}
