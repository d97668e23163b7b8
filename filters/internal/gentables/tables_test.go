package main

import (
	"bytes"
	"os"
	"testing"
)

func TestTablesAreCurrent(t *testing.T) {
	want, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../names_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("names_gen.go is not what golang.org/x/sys says: run go generate in filters")
	}
}
