package poll

import "slices"

// item is one frame on its way to the client, as JSON.
type item struct {
	b     []byte
	key   string // of a transient push that a newer one replaces; empty: none
	until int64  // wheel time after which it is worth nothing; 0: never
	seq   uint64 // of a push that is kept
	id    uint32 // of a reply
	kind  kind

	// sent: it has been part of a GET's answer or of a stream, which bring frames
	// in the list's order. What is kept goes out again in each answer until the
	// client names it.
	sent bool
	// forPost: the POST under way will answer with it, so it wakes nobody else;
	// posted: one has. That tells nothing of the frames before it.
	forPost, posted bool
	// exempt: it came with a resume, which takes all that the session has kept.
	exempt bool
}

// kind says when an item leaves the list.
type kind uint8

const (
	kindPush      kind = iota // a push with a seq: when the client acknowledges it
	kindReply                 // when the client names it or a later one
	kindNotice                // GOAWAY and the like: once it has been sent
	kindTransient             // the same, or when it must make room
)

// itemBytes is what an item counts beside its frame, so that many small ones
// are bounded too.
const itemBytes = 64

func (it *item) size() int { return len(it.b) + itemBytes }

// list holds the frames for one client in the order in which they were queued.
// An item keeps its place for as long as it is there: naming a reply means
// every reply before it, so places must not change under the client. The zero
// list is empty and owns no memory. It is not safe for concurrent use.
type list struct {
	items []item

	bytes     int // of all items
	waiting   int // of those that have not gone out, but for exempt ones
	sentBytes int // of the replies that the client may have
	replies   int
	fresh     int // items that a call which waits must be woken for
	forPost   int
}

// out reports whether the client may have it.
func (it *item) out() bool { return it.sent || it.posted }

// count adds what an item contributes to the sums, or takes it away.
func (l *list) count(it *item, sign int) {
	size := sign * it.size()
	l.bytes += size
	if !it.out() && !it.exempt {
		l.waiting += size
	}
	if it.kind == kindReply {
		l.replies += sign
		if it.out() {
			l.sentBytes += size
		}
	}
	if it.forPost {
		l.forPost += sign
	} else if !it.out() {
		l.fresh += sign
	}
}

// change lets fn change the flags of an item.
func (l *list) change(it *item, fn func(*item)) {
	l.count(it, -1)
	fn(it)
	l.count(it, 1)
}

func (l *list) add(it item) {
	l.items = append(l.items, it)
	l.count(&it, 1)
}

// fits reports whether n bytes more may wait under limit. A frame that finds
// nothing waiting is always taken: the bound is on what piles up.
func (l *list) fits(n, limit int) bool { return l.waiting <= 0 || l.waiting+n <= limit }

// dropIf takes out every item that fn names and lets go of the memory when none
// is left.
func (l *list) dropIf(fn func(i int, it *item) bool) {
	kept := 0
	for i := range l.items {
		it := &l.items[i]
		if fn(i, it) {
			l.count(it, -1)
			continue
		}
		if kept != i {
			l.items[kept] = *it
		}
		kept++
	}
	clear(l.items[kept:])
	l.items = l.items[:kept]
	if kept == 0 {
		l.items = nil
	}
}

// reply finds the reply to a request, -1 when it is not there.
func (l *list) reply(id uint32) int {
	if l.replies == 0 {
		return -1
	}
	for i := range l.items {
		if it := &l.items[i]; it.kind == kindReply && it.id == id {
			return i
		}
	}
	return -1
}

// acknowledge drops the pushes up to seq. Whoever has received a push has
// received the replies before it, which are sent before it. One that has come
// there since by being asked for again stays.
func (l *list) acknowledge(seq uint64) {
	last := -1
	for i := range l.items {
		if it := &l.items[i]; it.kind == kindPush && it.seq <= seq {
			last = i
		}
	}
	if last < 0 {
		return
	}
	l.dropIf(func(i int, it *item) bool {
		return i <= last && (it.kind == kindPush || it.kind == kindReply && it.sent)
	})
}

// named drops the reply to a request that the client says it has, and those that
// were sent before it. Others stay: a client that got this one from its POST may
// not know of them. It reports whether no other stays.
func (l *list) named(id uint32) (all bool) {
	last := l.reply(id)
	if last < 0 {
		return true
	}
	all = true
	l.dropIf(func(i int, it *item) bool {
		if i > last || it.kind != kindReply {
			return false
		}
		all = all && (i == last || it.sent)
		return i == last || it.sent
	})
	return all
}

// shed drops the oldest replies that have gone out until at most count replies
// are kept and those take at most limit bytes. The session keeps no more of
// them either. Replies that have never gone out are not touched.
func (l *list) shed(count, limit int) {
	for l.replies > count || l.sentBytes > limit {
		i := slices.IndexFunc(l.items, func(it item) bool { return it.kind == kindReply && it.out() && !it.forPost })
		if i < 0 {
			return
		}
		l.dropIf(func(at int, _ *item) bool { return at == i })
	}
}

// expire drops what is worth nothing any more at now.
func (l *list) expire(now int64) {
	for i := range l.items {
		if until := l.items[i].until; until != 0 && until <= now {
			l.dropIf(func(_ int, it *item) bool { return it.until != 0 && it.until <= now })
			return
		}
	}
}

// makeRoom makes room under limit for n bytes of a transient push, and drops the
// one that waits with the same key. With dropOldest it drops others of its kind
// too, oldest first. When that would not do, nothing is dropped.
func (l *list) makeRoom(n, limit int, key string, dropOldest bool) bool {
	replaced := func(it *item) bool { return it.kind == kindTransient && key != "" && it.key == key }
	left, least := l.waiting, l.waiting
	for i := range l.items {
		switch it := &l.items[i]; {
		case replaced(it):
			left -= it.size()
			least -= it.size()
		case it.kind == kindTransient && dropOldest:
			least -= it.size()
		}
	}
	if least > 0 && least+n > limit {
		return false
	}
	if left != l.waiting {
		l.dropIf(func(_ int, it *item) bool { return replaced(it) })
	}
	if !l.fits(n, limit) {
		l.dropIf(func(_ int, it *item) bool { return it.kind == kindTransient && !l.fits(n, limit) })
	}
	return true
}

// resend makes everything that is kept count as not sent.
func (l *list) resend() {
	for i := range l.items {
		l.change(&l.items[i], func(it *item) { it.sent, it.posted = false, false })
	}
}

// unclaim gives what a POST would have answered with to everybody.
func (l *list) unclaim() {
	if l.forPost == 0 {
		return
	}
	for i := range l.items {
		l.change(&l.items[i], func(it *item) { it.forPost = false })
	}
}

// appendAll appends all items to dst as the elements of an array, up to limit
// bytes but at least one, and marks them sent.
func (l *list) appendAll(dst []byte, limit int) []byte {
	start := len(dst)
	end := 0
	for ; end < len(l.items); end++ {
		it := &l.items[end]
		if end > 0 {
			if len(dst)-start+1+len(it.b) > limit {
				break
			}
			dst = append(dst, ',')
		}
		dst = append(dst, it.b...)
		l.change(it, func(it *item) { it.sent = true })
	}
	l.dropPassing(end)
	return dst
}

// appendPost is appendAll for what the POST under way has asked for, which is
// nobody's in particular afterwards.
func (l *list) appendPost(dst []byte) []byte {
	first := true
	for i := range l.items {
		it := &l.items[i]
		if !it.forPost {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, it.b...)
		l.change(it, func(it *item) { it.posted, it.forPost = true, false })
	}
	return dst
}

// appendEvents appends what has not gone out as events of a stream, up to limit
// bytes but at least one event, and marks it sent. A reply that is a POST's goes
// out only ahead of a push, so that who acknowledges the push has it too.
func (l *list) appendEvents(dst []byte, limit int) []byte {
	start := len(dst)
	end, push := 0, l.lastUnsentPush()
	for ; end < len(l.items); end++ {
		it := &l.items[end]
		if it.sent || end > push && (it.posted || it.forPost) {
			continue
		}
		if len(dst) > start && len(dst)-start+len(it.b) > limit {
			break
		}
		dst = appendEvent(dst, it.seq, it.b)
		l.change(it, func(it *item) { it.sent = true })
	}
	l.dropPassing(end)
	return dst
}

func (l *list) lastUnsentPush() int {
	for i := len(l.items) - 1; i >= 0; i-- {
		if it := &l.items[i]; it.kind == kindPush && !it.sent {
			return i
		}
	}
	return -1
}

// dropPassing drops those of the first n items that are not kept.
func (l *list) dropPassing(n int) {
	passing := func(it *item) bool { return it.sent && it.kind >= kindNotice }
	for i := range l.items[:n] {
		if passing(&l.items[i]) {
			l.dropIf(func(i int, it *item) bool { return i < n && passing(it) })
			return
		}
	}
}
