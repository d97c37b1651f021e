// Package cases holds small inputs whose outcome in AWS is known, and the test
// that hoplab's answer is that outcome.
package cases
