// Holdfast's contract: what gateways say to backends, and backends to gateways.
//
// A backend team implements Logic and calls Gateway. Everything travels as
// Thrift over TTHeader. Field ids are never reused; a field that is added later
// is optional to read, so gateways and backends may be rolled out in any order.
//
// Words: docs/protocol.md has the client's side. A *session* is an
// authenticated client, a *lane* the ordered queue of one session towards one
// service, an *incarnation* one life of a backend process, an *epoch* one life
// of a gateway process.
//
// All times are Unix times in milliseconds and end in _at_ms or are called
// time_ms; all durations are milliseconds and end in _ms. Strings are UTF-8.
namespace go holdfast

// ---------------------------------------------------------------- who speaks

// Device is what the client said of its device in HELLO. It is the client's
// word: nothing in it has been verified. Each text is at most 128 bytes.
struct Device {
  1: string id            // stable per installation, chosen by the client; empty: not told
  2: string device_class  // one of ios, android, web, pc, mini, other; empty: not told
  3: string os            // operating system and its version
  4: string app           // name of the application
  5: string version       // version of the application
  6: string model         // model of the device
}

// Session says who is speaking. Connect and Events carry it.
struct Session {
  1: string id            // made by the gateway, 22 characters, cannot be guessed
  2: string uid           // 1 to 64 bytes, from ConnectReply; empty in Connect itself
  3: string gateway       // host:port (or unix path) where this session's Gateway service is served
  4: i64 epoch            // the gateway's epoch; a record of another epoch is stale
  5: Device device        // as told by the client
  6: string client_ip     // the client's address as the gateway saw it, without port
  7: string transport     // tcp, tls, ws, wss, poll, polls, sse or sses
  8: map<string,string> attrs // only what the backend's own ConnectReply set; empty in Connect itself
  9: i64 connected_at_ms  // on the gateway's clock
}

// ------------------------------------------------------------------- Connect

// ConnectPurpose tells why a token is judged.
enum ConnectPurpose {
  CONNECT = 1   // a new session
  REFRESH = 2   // a live session presents a new token; the uid must not change
}

// ConnectItem is one login. The gateway sets every field.
struct ConnectItem {
  1: Session session
  2: string token                      // the application's credential, at most 8 KiB; may be empty
  3: ConnectPurpose purpose
  4: map<string,string> client_attrs   // HELLO's attrs, at most 16 pairs and 1 KiB: the client's word
  5: i64 deadline_ms                   // how long from now the gateway waits for the answer
}

struct ConnectRequest {
  1: list<ConnectItem> items           // 1 to 256
}

// ConnectResult judges one login. Set either uid, or close_code to refuse.
struct ConnectResult {
  1: string uid                  // 1 to 64 bytes: who this is
  2: map<string,string> attrs    // at most 16 pairs, 1 KiB: travels with every packet of the session
  3: i64 expires_at_ms           // when the credential runs out; 0 = never
  4: i32 close_code              // 0 = welcome; else the CLOSE code for the client, such as 4502 or 4503
  5: string close_reason         // with close_code: text for the client, at most 120 bytes
  6: i32 retry_after_ms          // with 4003, 4007, 4011: when the client may come again; 0 = not told
  7: i32 window                  // bounds the session's unanswered requests below the gateway's own; 0 = the gateway's
  8: bool not_executed           // the kit refused it (draining, queue full): another instance may be asked
}

struct ConnectReply {
  1: list<ConnectResult> results // same length and order as ConnectRequest.items
  2: i64 incarnation             // of the answering process
}

// ------------------------------------------------------------------- Forward

// Packet is one request of a client.
struct Packet {
  1: string session            // Session.id
  2: string uid                // Session.uid
  3: i64 seq                   // per session and service, from 1, +1 per packet; the same in a second attempt
  4: string command            // 1 to 64 bytes of a-z 0-9 . _ -
  5: binary payload            // exactly as the client sent it, at most max_frame
  6: i64 start_by_ms           // on the instance's clock: never start it later; 0 = no bound
  7: i32 attempt               // 1 for the first time this packet is sent to an instance, +1 each further time
  8: map<string,string> attrs  // Session.attrs
  9: string device_id          // Session.device.id
  10: string gateway           // Session.gateway: where a deferred answer goes
}

struct ForwardRequest {
  1: string service        // the service the gateway's route names
  2: list<Packet> packets  // 1 to 1024; packets of one session are in its order
  3: i64 epoch             // the gateway's epoch
}

// Reply answers one packet.
struct Reply {
  1: i32 status            // gRPC canonical code, 0 OK to 16 UNAUTHENTICATED
  2: binary payload        // goes to the client as it is, at most max_frame
  3: bool deferred         // not answered yet: the answer comes by Gateway.Reply; the other fields are unset
  4: i32 retry_after_ms    // with not_executed: when to try again; 0 = not told
  5: bool not_executed     // the kit refused it: draining, queue full, past start_by. The handler did not run
  6: string reason         // with not_executed: draining, queue_full or past_start_by
}

struct ForwardReply {
  1: list<Reply> replies   // same length and order as ForwardRequest.packets
  2: i64 incarnation       // of the answering process
}

// -------------------------------------------------------------------- Events

enum EventKind {
  CUT = 1       // the session lost its connection and may be resumed
  RESUMED = 2   // a new connection took the session over; Session.transport and client_ip are the new ones
  ENDED = 3     // the session is over
  PRESENT = 4   // the session is alive: announced because Heartbeat asked for resync
}

// Event tells what became of a session. Events of one session arrive in their
// order, each at least once.
struct Event {
  1: Session session
  2: EventKind kind
  3: string reason         // the close code's name in lower case, or "connection_lost"; empty for PRESENT
  4: i64 at_ms             // on the gateway's clock
}

struct EventsRequest {
  1: string gateway        // where the sender's Gateway service is served
  2: i64 epoch
  3: list<Event> events    // 1 to 1024
}

struct EventsReply {
  1: i64 incarnation
}

// ----------------------------------------------------------------- Heartbeat

// HeartbeatRequest comes from every gateway to every instance, every 3 s. It
// renews the gateway's presence lease (10 s) and probes the instance.
struct HeartbeatRequest {
  1: string gateway        // where the sender's Gateway service is served
  2: i64 epoch
  3: i64 sessions          // how many sessions the gateway holds
  4: string name           // the gateway's configured name
}

struct HeartbeatReply {
  1: i64 incarnation       // changes when the process restarts
  2: i64 time_ms           // the instance's clock; the gateway learns the offset from it
  3: bool resync           // the instance knows nothing of this gateway's sessions: announce them as PRESENT
  4: bool events           // the service wants Events
  5: bool draining         // the instance is leaving: new packets go elsewhere
}

// Logic is implemented by backend teams; backend/kit serves it for them.
service Logic {
  // Connect judges tokens. Idempotent by session id; may reach any healthy instance.
  ConnectReply Connect(1: ConnectRequest req)
  // Forward runs requests. Packets of one session run in their order, different sessions in parallel.
  ForwardReply Forward(1: ForwardRequest req)
  // Events tells what became of sessions, at least once.
  EventsReply Events(1: EventsRequest req)
  // Heartbeat probes the instance and renews the gateway's lease.
  HeartbeatReply Heartbeat(1: HeartbeatRequest req)
}

// ---------------------------------------------------------------------- Push

// Target names who gets a push or is kicked. Exactly one field is set.
struct Target {
  1: optional string session
  2: optional string uid    // every session of the user
  3: optional string topic  // every session subscribed to it; 1 to 128 bytes
  4: optional bool all      // every session of the gateway
}

// PushItem is one push to one target. The backend sets every field.
struct PushItem {
  1: Target to
  2: string command        // 1 to 64 bytes of a-z 0-9 . _ -; a leading $ is the gateway's own
  3: binary payload        // at most max_frame less 10 and the command's length
  4: bool reliable         // true: gets a seq and is kept until the client acknowledges it
  5: string key            // for transient pushes: a newer push of the same key may replace this one; at most 64 bytes
  6: i32 ttl_ms            // for transient pushes: not worth sending after this long in a queue; 0 = no bound
  7: optional string except_session // not to this session, though the target includes it
}

struct PushRequest {
  1: list<PushItem> items  // 1 to 4096; their order is kept for each session
}

// PushRefusal says why no session took a push, or why one did not.
enum PushRefusal {
  NONE = 0
  NO_SESSION = 1       // nobody here by that session, uid or topic
  QUEUE_FULL = 2       // a slow client's queue or its kept pushes are full; it is being cut
  INVALID = 3          // the item breaks a limit of this file
  TOO_LARGE = 4        // it does not fit the gateway's max_frame
}

struct PushResult {
  1: i32 delivered         // how many sessions took it
  2: i32 refused           // how many sessions are here but could not take it
  3: PushRefusal refusal   // why, when refused > 0 or delivered = 0
  4: string message        // names the field and the limit for INVALID and TOO_LARGE
}

struct PushReply {
  1: list<PushResult> results // same length and order as PushRequest.items
  2: i64 epoch
}

// --------------------------------------------------------------------- Reply

// DeferredReply answers a packet that Forward deferred. The first answer for
// (session, service, seq, attempt) wins; later ones are dropped and counted.
struct DeferredReply {
  1: string session
  2: string service
  3: i64 seq
  4: i32 attempt
  5: Reply reply           // with deferred unset
}

struct ReplyRequest {
  1: list<DeferredReply> replies // 1 to 4096
  2: i64 incarnation             // of the answering process
}

struct ReplyReply {
  1: i32 accepted          // how many answers were still awaited
}

// ---------------------------------------------------------------------- Kick

struct KickItem {
  1: Target to             // a session or a uid
  2: i32 code              // 4504 KICKED unless another refusal fits; 4000 to 4999
  3: string reason         // text for the client, at most 120 bytes
  4: optional string except_session // not this session, though it is the uid's
}

struct KickRequest {
  1: list<KickItem> items  // 1 to 1024
}

struct KickReply {
  1: list<i32> kicked      // how many sessions each item ended, in order
}

// ----------------------------------------------------------------- Subscribe

struct SubscribeItem {
  1: string session
  2: list<string> join     // topics, 1 to 128 bytes each
  3: list<string> leave    // applied after join
}

struct SubscribeRequest {
  1: list<SubscribeItem> items // 1 to 1024
}

enum SubscribeResult {
  DONE = 0
  NO_SESSION = 1
  TOO_MANY = 2             // the session's topics would exceed the gateway's bound; nothing of the item was done
  INVALID = 3              // a topic is empty or too long; nothing of the item was done
}

struct SubscribeReply {
  1: list<SubscribeResult> results
}

// ------------------------------------------------------------------- Inspect

struct InspectRequest {
  1: Target who            // a session, uid or topic; all lists any sessions
  2: i32 limit             // how many sessions to list at most; 0 = none, only the counts; at most 1000
}

struct InspectedSession {
  1: Session session
  2: i64 last_seq          // the highest push seq given out
  3: i64 acked_seq         // the highest the client acknowledged
  4: i32 unanswered        // requests accepted and not answered yet
  5: i64 queued_bytes      // waiting for a slow client
  6: list<string> topics
}

struct InspectReply {
  1: string name           // the gateway's configured name
  2: i64 epoch
  3: i64 matched           // how many sessions match
  4: list<InspectedSession> sessions // at most limit
  5: i64 total             // how many sessions the gateway holds
  6: bool draining
}

// Gateway is served by every gateway and called by backends.
service Gateway {
  // Push delivers to sessions of this gateway. The order of the list is kept.
  PushReply Push(1: PushRequest req)
  // Reply brings answers that Forward deferred.
  ReplyReply Reply(1: ReplyRequest req)
  // Kick ends sessions. A kicked session cannot be resumed.
  KickReply Kick(1: KickRequest req)
  // Subscribe moves sessions in and out of topics.
  SubscribeReply Subscribe(1: SubscribeRequest req)
  // Inspect tells what the gateway knows of sessions.
  InspectReply Inspect(1: InspectRequest req)
}

// ----------------------------------------------------------------- Scheduler

// Endpoint is where a gateway is reached by one transport.
struct Endpoint {
  1: string gateway        // the gateway's name
  2: string transport      // tcp, tls, ws, wss, poll, polls, sse or sses
  3: string address        // host:port as clients reach it
  4: string zone
}

// LoadReport is sent by every gateway to every scheduler, each second.
struct LoadReport {
  1: string gateway        // the gateway's name
  2: i64 epoch
  3: string zone
  4: string region
  5: map<string,string> labels
  6: list<Endpoint> endpoints
  7: i64 capacity          // sessions it is configured to hold; 0 = not told
  8: map<string,i64> connections // open connections by transport
  9: double accept_rate    // accepted connections a second, over the last report's time
  10: map<string,i64> rejects // since the last report, by reason
  11: i32 memory_level     // 0 none to 4 shedding all
  12: list<string> tickets_seen // ids of tickets used up since the last report
  13: bool draining
  14: string address       // where its Gateway service is served
}

// DrainOrder asks a gateway to send its clients elsewhere.
struct DrainOrder {
  1: i64 window_ms         // spread over this long
  2: bool cancel           // stop a drain that is under way
}

// RebalanceOrder asks a gateway to send some clients elsewhere.
struct RebalanceOrder {
  1: i32 sessions          // how many at most
  2: i32 per_second
}

struct ReportReply {
  1: optional DrainOrder drain
  2: optional RebalanceOrder rebalance
}

struct AssignRequest {
  1: string uid
  2: string device
  3: string platform
  4: string version
  5: string region
  6: string transport      // empty: any
  7: i32 count             // endpoints wanted; 0 = 3
  8: list<string> exclude  // gateways by name
  9: string client_ip
  10: map<string,string> attrs
}

struct Backoff {
  1: i32 base_ms
  2: double factor
  3: i32 max_ms
}

struct AssignReply {
  1: list<Endpoint> endpoints // best first
  2: string ticket
  3: i64 ticket_expires_at_ms
  4: string pool
  5: string rule
  6: string policy_version
  7: Backoff backoff
  8: i32 ttl_ms            // how long the answer may be reused
  9: i32 retry_after_ms    // with no endpoints: when to ask again
}

// Scheduler tells clients where to connect. Gateways report to it and ask it
// where a session that must leave should go.
service Scheduler {
  ReportReply Report(1: LoadReport r)
  AssignReply Assign(1: AssignRequest r)
}
