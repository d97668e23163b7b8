//go:build !unix

package testpriv

import "errors"

func lockFile(string, lockMode) (unlock func(), err error) {
	return nil, errors.New("no file locks on this operating system")
}
