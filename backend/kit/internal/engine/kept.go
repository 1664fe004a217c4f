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
	if k.n == k.limit {
		k.drop()
	}
	for k.n > 0 && k.bytes+len(e.payload) > k.bytesMax {
		k.release()
	}
	if k.n == len(k.ring) {
		k.grow()
	}
	at := k.first + k.n
	if at >= len(k.ring) {
		at -= len(k.ring)
	}
	k.ring[at] = e
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

// drop sheds the oldest answer. Its place keeps what was there: the caller uses it
// again at once.
func (k *kept) drop() {
	e := k.oldest()
	if e.lane.floor < e.seq {
		e.lane.floor = e.seq
	}
	k.bytes -= len(e.payload)
	k.n--
	if k.first++; k.first == len(k.ring) {
		k.first = 0
	}
}

// release sheds the oldest answer and lets go of its memory.
func (k *kept) release() {
	e := k.oldest()
	k.drop()
	*e = entry{}
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
