// Package filters is perfpipe's filter language. (The manual follows.)
package filters

//go:generate go run ./internal/gentables
