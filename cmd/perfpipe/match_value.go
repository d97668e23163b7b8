package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/perfpipe/perfpipe"
)

// encodeValue returns v's bytes as f holds them.
func encodeValue(f *perfpipe.Field, v any) ([]byte, error) {
	switch {
	case f.Kind == perfpipe.KindString:
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("want a string, got %v", v)
		}
		return perfpipe.UnescapeText(s), nil
	case f.Kind == perfpipe.KindCPUMask:
		return encodeMask(f, v)
	}
	size := f.ElemSize
	if f.Kind == perfpipe.KindBytes || size != 1 && size != 2 && size != 4 && size != 8 {
		size = 1
	}
	list, isList := v.([]any)
	if !isList {
		if f.Array || f.Loc != perfpipe.LocStatic || f.Size != size && f.Size > 8 {
			return nil, fmt.Errorf("want an array, got %v", v)
		}
		n, err := jsonInt(v, f.Size*8)
		if err != nil {
			return nil, err
		}
		b := make([]byte, f.Size)
		putUint(b, n)
		return b, nil
	}
	if !f.Array && f.Kind != perfpipe.KindBytes && f.Loc == perfpipe.LocStatic {
		return nil, fmt.Errorf("want one number, got %v", v)
	}
	b := make([]byte, 0, len(list)*size)
	for i, x := range list {
		n, err := jsonInt(x, size*8)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		b = append(b, make([]byte, size)...)
		putUint(b[len(b)-size:], n)
	}
	return b, nil
}

// encodeMask makes a cpumask of a list of processors.
func encodeMask(f *perfpipe.Field, v any) ([]byte, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("want an array of processors, got %v", v)
	}
	size := 8
	if f.Loc == perfpipe.LocStatic {
		size = f.Size
	}
	b := make([]byte, size)
	for _, x := range list {
		n, err := jsonInt(x, 16)
		if err != nil {
			return nil, err
		}
		for int(n/8) >= len(b) {
			if f.Loc == perfpipe.LocStatic || n >= 8192 {
				return nil, fmt.Errorf("processor %d is not in the mask", n)
			}
			b = append(b, make([]byte, 8)...)
		}
		b[n/8] |= 1 << (n % 8)
	}
	return b, nil
}

// jsonInt reads an integer of bits bits, signed or unsigned.
func jsonInt(v any, bits int) (uint64, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			if n < 0 && n < math.MinInt64>>(64-bits) {
				return 0, fmt.Errorf("%s does not fit in %d bits", v, bits)
			}
			if n >= 0 && uint64(n) > math.MaxUint64>>(64-bits) {
				return 0, fmt.Errorf("%s does not fit in %d bits", v, bits)
			}
			return uint64(n), nil
		}
		n, err := strconv.ParseUint(v.String(), 10, 64)
		if err != nil || n > math.MaxUint64>>(64-bits) {
			return 0, fmt.Errorf("%s is no integer of %d bits", v, bits)
		}
		return n, nil
	}
	return 0, fmt.Errorf("want an integer, got %v", v)
}

// putUint writes v's low bytes, little endian.
func putUint(b []byte, v uint64) {
	for i := range b {
		b[i] = byte(v)
		v >>= 8
	}
}
