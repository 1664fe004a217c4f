package push

import (
	"errors"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// targetKind is which field of a Target is set.
type targetKind uint8

const (
	toSession targetKind = iota
	toUID
	toTopic
	toAll
)

// target is a Target that has been checked.
type target struct {
	kind targetKind
	name string // of the session, uid or topic
}

var errTarget = errors.New("to: want exactly one of session, uid, topic and all")

func parseTarget(t *holdfast.Target) (target, error) {
	if t == nil {
		return target{}, errTarget
	}
	var out target
	set := 0
	name := func(kind targetKind, name *string) {
		if name != nil {
			out = target{kind: kind, name: *name}
			set++
		}
	}
	name(toSession, t.Session)
	name(toUID, t.Uid)
	name(toTopic, t.Topic)
	if t.GetAll() {
		out = target{kind: toAll}
		set++
	}
	if set != 1 {
		return target{}, errTarget
	}
	if out.kind != toAll && out.name == "" {
		return target{}, errors.New("to: the name is empty")
	}
	return out, nil
}

// find appends the target's sessions to dst. It is not for toAll, whose
// sessions may be too many for a list.
func (s *Service) find(dst []*session.Session, t target) []*session.Session {
	switch t.kind {
	case toSession:
		if one := s.sessions.ByID(t.name); one != nil {
			dst = append(dst, one)
		}
	case toUID:
		dst = s.sessions.ByUID(dst, t.name)
	case toTopic:
		dst = s.sessions.ByTopic(dst, t.name)
	}
	return dst
}

// each calls fn for the target's sessions until fn reports false.
func (s *Service) each(t target, fn func(*session.Session) bool) {
	if t.kind == toAll {
		s.sessions.Each(fn)
		return
	}
	for _, one := range s.find(nil, t) {
		if !fn(one) {
			return
		}
	}
}
