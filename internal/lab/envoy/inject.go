package envoy

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/hoplab/hoplab/internal/lab/inject"
)

// spin is the delay as a filter: it spins, as inject.Spinner does, on the worker
// that has the request, and notes how long. A delay of 0 costs what the filter
// does, for agents that are compared with a delayed one.
const spin = `math.randomseed(%d)
local function now(h) return tonumber(h:timestampString(EnvoyTimestampResolution.MICROSECOND)) end
function envoy_on_request(h)
  if %s < 1 and math.random() >= %s then return end
  local start = now(h)
  local t = start
  while t - start < %s do t = now(h) end
  h:streamInfo():dynamicMetadata():set("hoplab.inject", "us", t - start)
end
`

// injection is the delay's filter, none unless cfg has one.
func (g *generator) injection() []*hcmv3.HttpFilter {
	s := g.cfg.Inject
	if s == nil {
		return nil
	}
	share := strconv.FormatFloat(s.Share, 'f', -1, 64)
	us := strconv.FormatFloat(float64(s.Spin)/float64(time.Microsecond), 'f', -1, 64)
	return []*hcmv3.HttpFilter{{Name: "envoy.filters.http.lua", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: g.pack(&luav3.Lua{
		DefaultSourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: fmt.Sprintf(spin, s.Seed&0x7fffffff, share, share, us)}},
	})}}}
}

// injectionLog has a line for each request: the microseconds that it was
// delayed, or "-".
func (g *generator) injectionLog() []*accesslogv3.AccessLog {
	if g.cfg.Inject == nil || g.at.InjectLog == "" {
		return nil
	}
	return []*accesslogv3.AccessLog{{
		Name: "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: g.pack(&filelogv3.FileAccessLog{
			Path: g.at.InjectLog,
			AccessLogFormat: &filelogv3.FileAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
				Format: &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
					Specifier: &corev3.DataSource_InlineString{InlineString: "%DYNAMIC_METADATA(hoplab.inject:us)%\n"},
				}},
			}},
		})},
	}}
}

// Flush has Envoy write to its logs what waits to be written. It does so by
// itself once a second; a line may take some milliseconds more to be in its file.
func (p *Proxy) Flush() error {
	_, err := p.ask(context.Background(), http.MethodPost, "/reopen_logs")
	return err
}

// injected reads what was delayed so far.
func (p *Proxy) injected() (c inject.Count, err error) {
	if p.cfg.Inject == nil || p.cfg.Inject.Spin == 0 {
		return c, nil
	}
	if err := p.Flush(); err != nil {
		return c, err
	}
	f, err := os.Open(p.at.InjectLog)
	if os.IsNotExist(err) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		c.Requests++
		us, err := strconv.ParseFloat(strings.TrimSpace(lines.Text()), 64)
		if err != nil {
			continue // "-": not delayed
		}
		c.Delayed++
		c.Realised += time.Duration(us * float64(time.Microsecond))
	}
	return c, nil
}
