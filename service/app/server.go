package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// serve listens, answers until ctx ends, and then lets open requests finish
// for cfg.stop. The first line it logs, once the port is bound, names the address.
func serve(ctx context.Context, cfg config, logger *slog.Logger, out *lineBuffer) error {
	inner, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.address)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; set PORT to a free port above 1024, or to 0", cfg.address, err)
	}
	listeners := []net.Listener{inner}
	if cfg.socket != "" {
		unix, err := listenUnix(ctx, cfg.socket)
		if err != nil {
			return fmt.Errorf("SOCKET=%q: %w", cfg.socket, errors.Join(err, inner.Close()))
		}
		listeners = append(listeners, unix)
	}
	logger.Info("listening", "address", inner.Addr().String(), "instance", cfg.instance)
	out.Flush()

	app := &app{cfg: cfg, stopping: make(chan struct{})}
	srv := &http.Server{
		Handler:           app.handler(),
		IdleTimeout:       cfg.idle,
		ReadHeaderTimeout: 10 * time.Second,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		Protocols:         new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true) // what an agent and a load balancer speak to an app of appProtocol http2
	if cfg.accessLog {
		app.logger = logger
		srv.ConnState = app.logFinished
	}
	failed := make(chan error, len(listeners))
	var serial atomic.Int64
	for _, inner := range listeners {
		go func() { failed <- srv.Serve(&listener{Listener: inner, serial: &serial}) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping", "wait", cfg.stop.String())
	close(app.stopping)
	wait, cancel := context.WithTimeout(context.Background(), cfg.stop)
	defer cancel()
	if err := srv.Shutdown(wait); err != nil {
		_ = srv.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("requests were still open after %v and were cut", cfg.stop)
		}
		return err
	}
	app.lines.Wait() // connections that closed just now still write their line
	logger.Info("stopped")
	return nil
}

// listenUnix listens on a socket file. One that an earlier process left is
// removed; anything else at the path is not touched.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if isSocket(path) == nil {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return (&net.ListenConfig{}).Listen(ctx, "unix", path)
}
