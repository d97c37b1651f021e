package agent

import (
	"net/http"
	"strconv"
)

// reasons are the phrases that Envoy and net/http disagree on.
var reasons = map[int]string{
	306: "Unknown", 413: "Payload Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 418: "Unknown", 451: "Unknown",
	599: "Last Unassigned Server Error Code",
}

// reason returns Envoy's phrase for a status. It never passes on the app's own.
func reason(status int) string {
	if text, ok := reasons[status]; ok {
		return text
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Unknown"
}

// appendStatus appends a status line.
func appendStatus(dst []byte, status int) []byte {
	if status == 200 {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, reason(status)...)
	return append(dst, "\r\n"...)
}
