//go:build unix && !linux

package durable

func rename(fd int, from, to string) error { return relink(fd, from, to) }
