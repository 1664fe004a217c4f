package dispatcher

// Reason says why the dispatcher, and not the backend, answered a request. It is
// a metric label and part of the reply's JSON, so the set is closed and every
// value is declared here with its status.
type Reason string

// Not run: the request may be sent again.
const (
	ReasonNoInstance   Reason = "no_instance"   // the service has no instance
	ReasonVacantSlot   Reason = "vacant_slot"   // nobody holds the user's slot
	ReasonInstanceDown Reason = "instance_down" // its instance takes no connection
	ReasonNotSent      Reason = "not_sent"      // the connection broke before the request was out
	ReasonDraining     Reason = "draining"      // its instance is leaving
	ReasonPastStartBy  Reason = "past_start_by" // it came to its instance too late to begin
	ReasonNotServed    Reason = "not_served"    // its instance does not know the contract
	ReasonRefused      Reason = "refused"       // its instance did not run it, for a reason of its own
	ReasonExpired      Reason = "expired"       // it waited in its lane until its deadline
	ReasonStopping     Reason = "stopping"      // the gateway is shutting down
	ReasonBreakerOpen  Reason = "breaker_open"  // the instance has failed too often, and nobody else can
	ReasonHeldTooLong  Reason = "held_too_long" // no instance came while it was held
)

// Not run, because of overload: it may be sent again, later.
const (
	ReasonLaneFull     Reason = "lane_full"     // the session has too many unanswered
	ReasonQueueFull    Reason = "queue_full"    // too much waits for its instance
	ReasonInstanceFull Reason = "instance_full" // its instance has too much queued
	ReasonInstanceRate Reason = "instance_rate" // its instance gets as much as it may per second
	ReasonRouteRate    Reason = "route_rate"    // its route gets as much as it may per second
	ReasonRouteBusy    Reason = "route_busy"    // its route has as many unanswered as it may
	ReasonHoldFull     Reason = "hold_full"     // its route holds as much as it may
)

// May have run.
const (
	ReasonTimeout        Reason = "timeout"         // the call was not answered in time
	ReasonNoAnswer       Reason = "no_answer"       // it was deferred and not answered in time
	ReasonConnectionLost Reason = "connection_lost" // the connection broke after it was sent
	ReasonInstanceGone   Reason = "instance_gone"   // the instance that had deferred it is no more
	ReasonBadReply       Reason = "bad_reply"       // the instance's reply breaks the contract
)

// ReasonNoRoute: no route takes the command.
const ReasonNoRoute Reason = "no_route"

// noReason is what functions return that found nothing to refuse.
const noReason Reason = ""

// Statuses that the dispatcher itself gives (docs/protocol.md section 2). They are
// gRPC's canonical codes.
const (
	statusUnknown           uint8 = 2
	statusDeadlineExceeded  uint8 = 4
	statusResourceExhausted uint8 = 8
	statusUnimplemented     uint8 = 12
	statusInternal          uint8 = 13
	statusUnavailable       uint8 = 14
	statusMax                     = 16
)

// refusal is what a client is told for a Reason.
type refusal struct {
	status  uint8
	retry   bool // tell when to try again; only where the request was not run
	outage  bool // nobody could take it: the route may hold or degrade it
	message string
}

var refusals = map[Reason]refusal{
	ReasonNoInstance:   {statusUnavailable, true, true, "the service has no instance"},
	ReasonVacantSlot:   {statusUnavailable, true, true, "no instance serves this user"},
	ReasonInstanceDown: {statusUnavailable, true, true, "the instance takes no connection"},
	ReasonNotSent:      {statusUnavailable, true, true, "the connection broke before the request was sent"},
	ReasonDraining:     {statusUnavailable, true, true, "the instance is leaving"},
	ReasonPastStartBy:  {statusUnavailable, true, false, "the instance got the request too late"},
	ReasonNotServed:    {statusUnavailable, true, true, "the instance does not serve this"},
	ReasonRefused:      {statusUnavailable, true, true, "the instance did not run the request"},
	ReasonExpired:      {statusUnavailable, true, false, "the request waited too long"},
	ReasonStopping:     {statusUnavailable, true, false, "the gateway is shutting down"},

	ReasonBreakerOpen: {statusUnavailable, true, true, "the instance has failed too often"},
	ReasonHeldTooLong: {statusUnavailable, true, false, "no instance came in time"},

	ReasonLaneFull:     {statusResourceExhausted, true, false, "too many unanswered requests to this service"},
	ReasonQueueFull:    {statusResourceExhausted, true, false, "too much waits for the instance"},
	ReasonInstanceFull: {statusResourceExhausted, true, false, "the instance has too much queued"},

	ReasonInstanceRate: {statusResourceExhausted, true, false, "the instance gets as much as it may"},
	ReasonRouteRate:    {statusResourceExhausted, true, false, "too many requests of this kind"},
	ReasonRouteBusy:    {statusResourceExhausted, true, false, "too many unanswered requests of this kind"},
	ReasonHoldFull:     {statusResourceExhausted, true, false, "too many requests wait for an instance"},

	ReasonTimeout:        {statusDeadlineExceeded, false, false, "the instance did not answer in time; the request may have run"},
	ReasonNoAnswer:       {statusDeadlineExceeded, false, false, "the instance did not finish in time; the request may have run"},
	ReasonConnectionLost: {statusUnknown, false, false, "the connection broke; the request may have run"},
	ReasonInstanceGone:   {statusUnknown, false, false, "the instance is gone; the request may have run"},
	ReasonBadReply:       {statusInternal, false, false, "the instance's answer breaks the contract"},

	ReasonNoRoute: {statusUnimplemented, false, false, "no route takes this command"},
}

// refusedByKit maps the reasons of Reply.not_executed (idl/holdfast.thrift).
var refusedByKit = map[string]Reason{
	"draining":      ReasonDraining,
	"queue_full":    ReasonInstanceFull,
	"past_start_by": ReasonPastStartBy,
}

// kitReason translates what an instance said; a reason that it made up is ReasonRefused.
func kitReason(said string) Reason {
	if r, ok := refusedByKit[said]; ok {
		return r
	}
	return ReasonRefused
}
