package engine

// entry is the answer to one packet that ran.
type entry struct {
	lane    *lane
	seq     int64
	at      int64 // Unix ms
	status  int32
	payload []byte
}

// kept remembers answers, oldest first, bounded in count and bytes. What it
// sheds leaves its seq as the lane's floor, so that "was it run" is known for
// longer than "what was the answer".
type kept struct {
	limit, bytesMax int // static

	ring  []entry // grows to limit
	first int     // index of the oldest
	n     int
	bytes int
}

// add remembers e. A payload that would displace a quarter of all is not kept.
func (k *kept) add(e entry) {
	if len(e.payload) > k.bytesMax/4 {
		e.lane.floor = max(e.lane.floor, e.seq)
		return
	}
	for k.n > 0 && (k.n == k.limit || k.bytes+len(e.payload) > k.bytesMax) {
		k.drop()
	}
	if k.n == len(k.ring) {
		k.grow()
	}
	k.ring[(k.first+k.n)%len(k.ring)] = e
	k.n++
	k.bytes += len(e.payload)
}

func (k *kept) grow() {
	larger := make([]entry, min(max(16, 2*len(k.ring)), k.limit))
	for i := range k.n {
		larger[i] = k.ring[(k.first+i)%len(k.ring)]
	}
	k.ring, k.first = larger, 0
}

func (k *kept) oldest() *entry { return &k.ring[k.first] }

// drop sheds the oldest answer.
func (k *kept) drop() {
	e := k.oldest()
	e.lane.floor = max(e.lane.floor, e.seq)
	k.bytes -= len(e.payload)
	*e = entry{}
	k.first = (k.first + 1) % len(k.ring)
	k.n--
}

// find looks for an answer, newest first. Repeats are rare and come soon, so no
// index is kept for them.
func (k *kept) find(l *lane, seq int64) (Answer, bool) {
	for i := k.n - 1; i >= 0; i-- {
		if e := &k.ring[(k.first+i)%len(k.ring)]; e.lane == l && e.seq == seq {
			return Answer{Status: e.status, Payload: e.payload}, true
		}
	}
	return Answer{}, false
}
