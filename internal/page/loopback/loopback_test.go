package loopback

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestStalledBody: the server waits neither for the body of who sends none nor,
// once it has refused one, for the rest of it.
func TestStalledBody(t *testing.T) {
	defer func(was time.Duration) { bodyWithin = was }(bodyWithin)
	bodyWithin = 200 * time.Millisecond
	server := httptest.NewServer(JSON(func(context.Context, struct{}) (string, error) { return "", nil }))
	defer server.Close()
	for _, begun := range []string{"", "{", "no JSON"} {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n%s", begun)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
			t.Errorf("after %q: %q, %v; want 400 and the end", begun, answer, err)
		}
	}
}
