package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// serve listens, answers until ctx ends, and then lets open requests finish
// for cfg.stop. The first line it logs, once the port is bound, names the address.
func serve(ctx context.Context, cfg config, logger *slog.Logger, out *lineBuffer) error {
	inner, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.address)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; set PORT to a free port above 1024, or to 0", cfg.address, err)
	}
	ln := &listener{Listener: inner}
	logger.Info("listening", "address", ln.Addr().String(), "instance", cfg.instance)
	out.Flush()

	app := &app{cfg: cfg, stopping: make(chan struct{})}
	srv := &http.Server{
		Handler:           app.handler(),
		IdleTimeout:       cfg.idle,
		ReadHeaderTimeout: 10 * time.Second,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	if cfg.accessLog {
		app.logger = logger
		srv.ConnState = app.logFinished
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
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
	logger.Info("stopped")
	return nil
}
