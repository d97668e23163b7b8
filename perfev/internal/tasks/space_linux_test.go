package tasks

import (
	"os"
	"testing"
)

func TestParseNSpid(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     int32
	}{
		{"own", "Name:\tsh\nNSpid:\t12\n", 12},
		{"nested", "NSpid:\t12\t3\t1\nThreads:\t1\n", 1},
		{"none", "Name:\tsh\n", 0},
		{"empty", "NSpid:\n", 0},
		{"junk", "NSpid:\tx\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseNSpid(tt.in); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	self := int32(os.Getpid())
	if SpaceOf(self) != SpaceOwn || InsideOf(self) == 0 || SpaceOf(1<<30) != SpaceUnknown {
		t.Errorf("this process: got %v, %d; one that is not: %v", SpaceOf(self), InsideOf(self), SpaceOf(1<<30))
	}
}
