package app

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"time"
)

// proxy is the service in front of another one: it sends every request on,
// except for one path that it answers itself. A health check on that path
// says that the proxy lives, and nothing about the app behind it.
func (app *app) proxy() http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConnsPerHost = 100 // the default of 2 would open a connection for most requests
	transport.IdleConnTimeout = time.Minute
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(app.cfg.proxyTo)
			r.Out.Host = r.In.Host
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
		},
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			app.warn("the app behind the proxy does not answer", "error", err.Error())
			text(w, http.StatusBadGateway, "bad gateway\n")
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del(peerHeader) // who called the app is us; who called us is told by the outer handler
			r.Header.Del(appHeader)
			return nil
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if app.cfg.proxyAnswers != "" && r.URL.Path == app.cfg.proxyAnswers {
			text(w, http.StatusOK, "alive\n")
			return
		}
		forward.ServeHTTP(w, r)
	})
}

func (app *app) warn(msg string, args ...any) {
	if app.logger != nil {
		app.logger.Log(noContext, slog.LevelWarn, msg, args...)
	}
}
