//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/cilium/ebpf"      //nolint:depguard // a ring that is no part of perfpipe, for comparison
	"github.com/cilium/ebpf/asm"  //nolint:depguard // its program
	"github.com/cilium/ebpf/link" //nolint:depguard // its tracepoint
	"golang.org/x/sys/unix"
)

// The record of the bare BPF ring: time, thread, number of the call, and the registers
// that have its arguments.
const (
	recTime = 0
	recTask = 8
	recCall = 16
	recRegs = 24
	regsLen = 64
	recSize = recRegs + regsLen
	// recHeader is what the kernel puts before a record, struct bpf_ringbuf_hdr.
	recHeader = 8
	// noWakeup is BPF_RB_NO_WAKEUP.
	noWakeup = 1
)

// regsOffset is where the arguments begin in the kernel's struct pt_regs.
func regsOffset() int16 {
	if runtime.GOARCH == "amd64" {
		return 56
	}
	return 0
}

// bareProgram writes one record a call on one processor and wakes nobody.
func bareProgram(ring *ebpf.Map, cpu int) *ebpf.ProgramSpec {
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.FnGetSmpProcessorId.Call(),
		asm.JNE.Imm(asm.R0, int32(cpu), "exit"),
		asm.LoadMapPtr(asm.R1, ring.FD()),
		asm.Mov.Imm(asm.R2, recSize),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.R7, recTime, asm.R0, asm.DWord),
		asm.FnGetCurrentPidTgid.Call(),
		asm.StoreMem(asm.R7, recTask, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, 8, asm.DWord),
		asm.StoreMem(asm.R7, recCall, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord),
	}
	for at := int16(0); at < regsLen; at += 8 {
		ins = append(ins,
			asm.LoadMem(asm.R2, asm.R1, regsOffset()+at, asm.DWord),
			asm.StoreMem(asm.R7, recRegs+at, asm.R2, asm.DWord))
	}
	ins = append(ins,
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Mov.Imm(asm.R2, noWakeup),
		asm.FnRingbufSubmit.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("exit"),
		asm.Return())
	return &ebpf.ProgramSpec{
		Name: "bare", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "sys_enter", License: "GPL", Instructions: ins,
	}
}

// bareBPF has a program of a page write the loop's events into a BPF ring, whose reader
// throws them away: a ring that is full would make them cheaper.
func (b *bench) bareBPF(ctx context.Context, load ...string) (r Recording, err error) {
	ring, err := ebpf.NewMap(&ebpf.MapSpec{Name: "bare", Type: ebpf.RingBuf, MaxEntries: ringBytes})
	if err != nil {
		return r, fmt.Errorf("make a BPF ring: %w", err)
	}
	defer func() { err = errors.Join(err, ring.Close()) }()
	prog, err := ebpf.NewProgram(bareProgram(ring, b.o.loadCPU))
	if err != nil {
		return r, fmt.Errorf("load the program of the bare BPF ring: %w", err)
	}
	defer func() { err = errors.Join(err, prog.Close()) }()
	page := os.Getpagesize()
	consumer, err := unix.Mmap(ring.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return r, fmt.Errorf("map a BPF ring: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(consumer)) }()
	producer, err := unix.Mmap(ring.FD(), int64(page), page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return r, fmt.Errorf("map a BPF ring: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(producer)) }()
	l, err := link.AttachTracing(link.TracingOptions{Program: prog})
	if err != nil {
		return r, fmt.Errorf("attach the program of the bare BPF ring: %w", err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	pinned(b.o.recordCPU, func() {
		defer close(stopped)
		for {
			binary.NativeEndian.PutUint64(consumer, binary.NativeEndian.Uint64(producer))
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	r.Load, err = b.load(ctx, load...)
	err = errors.Join(err, l.Close())
	close(stop)
	<-stopped
	r.Events = int(binary.NativeEndian.Uint64(producer) / (recSize + recHeader))
	return r, err
}
