package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every Linux that Go
// runs on, whatever the kernel's own clock.
const tick = 10 * time.Millisecond

// CPUTime returns the user and system time that a process has used so far, in
// steps of 10 ms.
func CPUTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cpu time of %d: %w", pid, err)
	}
	d, err := parseStat(b)
	if err != nil {
		return 0, fmt.Errorf("cpu time of %d: %w", pid, err)
	}
	return d, nil
}

// parseStat reads fields 14 and 15. The second field is the program's name in
// parentheses and may hold anything, so counting starts after its end.
func parseStat(b []byte) (time.Duration, error) {
	i := bytes.LastIndexByte(b, ')')
	fields := bytes.Fields(b[i+1:])
	if i < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("unexpected form %q", b)
	}
	var ticks int64
	for _, f := range fields[11:13] { // the first here is field 3
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("field %q: %w", f, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// MachineTime is what all processors together have spent since the start of
// the machine.
type MachineTime struct {
	// Processes is user and system time. Interrupts are not in it.
	Processes time.Duration
	// Stolen is what the hypervisor gave to others.
	Stolen time.Duration
}

// ReadMachineTime returns it, in steps of 10 ms.
func ReadMachineTime() (MachineTime, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return MachineTime{}, fmt.Errorf("machine time: %w", err)
	}
	return parseMachineTime(b)
}

// parseMachineTime reads the first line: cpu user nice system idle iowait irq
// softirq steal.
func parseMachineTime(b []byte) (MachineTime, error) {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return MachineTime{}, fmt.Errorf("machine time: unexpected form %q", line)
	}
	var ticks [8]int64
	for i := range ticks {
		n, err := strconv.ParseInt(string(fields[1+i]), 10, 64)
		if err != nil {
			return MachineTime{}, fmt.Errorf("machine time: field %q: %w", fields[1+i], err)
		}
		ticks[i] = n
	}
	return MachineTime{
		Processes: time.Duration(ticks[0]+ticks[1]+ticks[2]) * tick,
		Stolen:    time.Duration(ticks[7]) * tick,
	}, nil
}

// OwnCPUTime returns the user and system time of this process.
func OwnCPUTime() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
