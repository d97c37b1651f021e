package h1

import "net/http"

// Reason returns the reason phrase for a status, "" when it has none.
func Reason(status int) string { return http.StatusText(status) }
