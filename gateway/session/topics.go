package session

import "slices"

// TopicOutcome says what became of a change of topics.
type TopicOutcome uint8

// The outcomes.
const (
	TopicsChanged TopicOutcome = iota
	TopicsNoSession
	TopicsTooMany
)

// Subscribe puts s into the topics of join and then takes it out of those of
// leave. When the session's bound would be exceeded nothing is changed.
func (r *Registry) Subscribe(s *Session, join, leave []string) TopicOutcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return TopicsNoSession
	}
	after := slices.Clone(s.topics)
	for _, topic := range join {
		if !slices.Contains(after, topic) {
			after = append(after, topic)
		}
	}
	after = slices.DeleteFunc(after, func(t string) bool { return slices.Contains(leave, t) })
	if len(after) > s.deps.Limits.TopicsMax && len(after) > len(s.topics) {
		return TopicsTooMany
	}
	for _, topic := range s.topics {
		if !slices.Contains(after, topic) {
			r.leaveTopic(s, topic)
		}
	}
	for _, topic := range after {
		if !slices.Contains(s.topics, topic) {
			r.joinTopic(s, topic)
		}
	}
	s.topics = slices.Clip(after)
	if len(after) == 0 {
		s.topics = nil
	}
	return TopicsChanged
}

// ByTopic appends the topic's sessions to dst, in no order.
func (r *Registry) ByTopic(dst []*Session, topic string) []*Session {
	shard := &r.topics[shardOf(topic)]
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	for s := range shard.m[topic] {
		dst = append(dst, s)
	}
	return dst
}

// dropTopics takes a session that has ended out of all its topics.
func (r *Registry) dropTopics(s *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range s.topics {
		r.leaveTopic(s, topic)
	}
	s.topics = nil
}

// joinTopic and leaveTopic are called with s.mu held, so that the session's
// list and the index change as one.
func (r *Registry) joinTopic(s *Session, topic string) {
	shard := &r.topics[shardOf(topic)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	members := shard.m[topic]
	if members == nil {
		members = make(map[*Session]struct{})
		shard.setLocked(topic, members)
	}
	members[s] = struct{}{}
}

func (r *Registry) leaveTopic(s *Session, topic string) {
	shard := &r.topics[shardOf(topic)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	members := shard.m[topic]
	delete(members, s)
	if len(members) == 0 {
		shard.deleteLocked(topic)
	}
}
