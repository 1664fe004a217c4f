// Package admission decides who may come in, how fast, and what is given up
// first when memory runs short. A gateway asks it at four moments:
//
//	socket accepted ── Accept ───▶ address known ── Enter ──▶ HELLO ── Handshake ──▶ uid known ── User
//	   memory step                 allow, deny                memory step            open per user
//	   descriptors                 open per address           rate per address
//	   open in all                 rate per address           rate in all            then, per request:
//	   rate in all                                                                   Request
//
// Accept is paired with Released, Enter with Leave, User with UserLeft: once for
// each that let in, and for no other.
//
// # Rates
//
// A rate is a leaky bucket used as a meter, which is the Generic Cell Rate
// Algorithm of the ATM Forum (Traffic Management Specification 4.1, section
// 4.4.2; ITU-T I.371). Its whole state is one number: the time at which the
// bucket would be full again. In any stretch of time t it admits at most
// per_second*t + burst. A number that is a time survives a reload: whatever the
// new rate is, nothing is forgotten and nothing is owed twice.
//
// # Bounded state
//
// An address or a user has an entry, about 150 bytes, while it has a connection;
// so the connections bound them. After its last one has left, it keeps the entry
// only until its buckets are full again, and of such entries there are at most
// 65,536. Beyond that newcomers share a few buckets with each other, so a flood
// from ever new addresses neither fills the memory nor locks out those who are
// in. An IPv6 client is its /64, since that is what one subscriber gets; an
// IPv4-mapped address is the IPv4 address.
//
// # Dry run
//
// Each check can be tried first: with dry_run it counts and logs what it would
// have refused, lets it in, and charges nothing for it.
//
// All methods of a Gate may be called from any goroutine. Apart from Run and
// Reload none of them blocks, does I/O or logs: what was refused is logged by
// Run, at most once a second for each reason.
package admission
