package bench

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// reading is what is known at one moment.
type reading struct {
	cpu     map[string]time.Duration // by role
	own     time.Duration
	mallocs float64
	machine proc.MachineTime
	at      time.Time
}

// meter reads the servers' counters at both ends of the measured time.
type meter struct {
	server     Server
	begin, end reading
	err        error
}

// at is a load.Plan's Measured.
func (m *meter) at(ctx context.Context) func(begins bool) {
	return func(begins bool) {
		r, err := m.read(ctx)
		m.err = errors.Join(m.err, err)
		if begins {
			m.begin = r
		} else {
			m.end = r
		}
	}
}

func (m *meter) read(ctx context.Context) (reading, error) {
	r := reading{cpu: map[string]time.Duration{}, at: time.Now()}
	var errs []error
	for _, p := range m.server.Processes {
		d, err := proc.CPUTime(p.PID)
		errs = append(errs, err)
		r.cpu[p.Role] += d
	}
	var err error
	r.own, err = proc.OwnCPUTime()
	errs = append(errs, err)
	r.machine, err = proc.ReadMachineTime()
	errs = append(errs, err)
	if m.server.Admin != "" {
		r.mallocs, err = proc.Mallocs(ctx, m.server.Admin)
		errs = append(errs, err)
	}
	return r, errors.Join(errs...)
}

// cost is what one exchange took, by what the meter has read.
type cost struct {
	// CPU microseconds of each server process, of the first of them, of all
	// together, and of the loader.
	CPU    map[string]float64 `json:"cpu_us,omitempty"`
	First  float64            `json:"first_cpu_us,omitempty"`
	Server float64            `json:"server_cpu_us,omitempty"`
	Loader float64            `json:"loader_cpu_us"`
	// HeapObjects that the gateway allocated; 0 when not read.
	HeapObjects float64 `json:"heap_objects,omitempty"`
	// Others is how many processors were busy with anything else, or not there
	// because the hypervisor gave them to others.
	Others float64 `json:"others_cpus"`
}

// per divides what was used by n exchanges.
func (m *meter) per(n int64) cost {
	if n == 0 {
		return cost{}
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / float64(n) }
	c := cost{CPU: map[string]float64{}, Loader: us(m.end.own - m.begin.own)}
	for role, d := range m.end.cpu {
		c.CPU[role] = us(d - m.begin.cpu[role])
		c.Server += c.CPU[role]
	}
	if len(m.server.Processes) > 0 {
		c.First = c.CPU[m.server.Processes[0].Role]
	}
	c.Others = m.others()
	c.HeapObjects = (m.end.mallocs - m.begin.mallocs) / float64(n)
	return c
}

// others is how many processors the rest of the world took. It is known only
// when the server's processes are.
func (m *meter) others() float64 {
	spent := m.end.machine.Processes - m.begin.machine.Processes + m.end.machine.Stolen - m.begin.machine.Stolen
	spent -= m.end.own - m.begin.own
	for role, d := range m.end.cpu {
		spent -= d - m.begin.cpu[role]
	}
	wall := m.end.at.Sub(m.begin.at)
	if len(m.end.cpu) == 0 || wall <= 0 {
		return 0
	}
	return max(float64(spent)/float64(wall), 0)
}
