package wire

import "strconv"

// The objects of vectors.json in their decoded form: as the structs of this
// package, under the protocol's own names.

type helloRow struct {
	Name  string      `json:"name"`
	Hello *plainHello `json:"hello,omitempty"`
	Code  CloseCode   `json:"code,omitempty"`
	jsonText
}

type plainHello struct {
	Protocol int               `json:"protocol"`
	Ticket   string            `json:"ticket"`
	Token    *string           `json:"token"` // null: absent
	Device   *plainDevice      `json:"device"`
	Attrs    map[string]string `json:"attrs"`
	Resume   *plainResume      `json:"resume"`
}

type plainDevice struct {
	ID      string `json:"id"`
	Class   string `json:"class"`
	Model   string `json:"model"`
	OS      string `json:"os"`
	App     string `json:"app"`
	Version string `json:"version"`
}

type plainResume struct {
	Session string `json:"session"`
	Secret  string `json:"secret"`
	Seq     string `json:"seq"`
}

func plainOfHello(h Hello) *plainHello {
	p := &plainHello{Protocol: h.Protocol, Ticket: h.Ticket, Device: (*plainDevice)(h.Device), Attrs: h.Attrs}
	if h.HasToken {
		p.Token = &h.Token
	}
	if h.Resume != nil {
		p.Resume = &plainResume{h.Resume.Session, h.Resume.Secret, strconv.FormatUint(h.Resume.Seq, 10)}
	}
	return p
}

type welcomeRow struct {
	Name    string        `json:"name"`
	Welcome *plainWelcome `json:"welcome,omitempty"`
	Code    CloseCode     `json:"code,omitempty"`
	jsonText
}

type plainWelcome struct {
	Session            string            `json:"session"`
	Secret             string            `json:"secret"`
	UID                string            `json:"uid"`
	Resumed            bool              `json:"resumed"`
	Gateway            string            `json:"gateway"`
	ReturnTo           map[string]string `json:"return_to"`
	HeartbeatMS        int64             `json:"heartbeat_ms"`
	HeartbeatTimeoutMS int64             `json:"heartbeat_timeout_ms"`
	RequestTimeoutMS   int64             `json:"request_timeout_ms"`
	Window             int               `json:"window"`
	MaxFrame           int               `json:"max_frame"`
	ResumeTTLMS        int64             `json:"resume_ttl_ms"`
	LastRequestID      uint32            `json:"last_request_id"`
	TimeMS             int64             `json:"time_ms"`
	PollMS             int64             `json:"poll_ms"`
}

type goAwayRow struct {
	Name   string       `json:"name"`
	GoAway *plainGoAway `json:"goaway,omitempty"`
	Code   CloseCode    `json:"code,omitempty"`
	jsonText
}

type plainGoAway struct {
	Code             CloseCode       `json:"code"`
	Reason           string          `json:"reason"`
	DeadlineMS       int64           `json:"deadline_ms"`
	ReconnectAfterMS int64           `json:"reconnect_after_ms"`
	Endpoints        []plainEndpoint `json:"endpoints"`
	Ticket           string          `json:"ticket"`
}

type plainEndpoint struct {
	Gateway   string `json:"gateway"`
	Transport string `json:"transport"`
	Address   string `json:"address"`
}

func plainOfGoAway(g GoAway) *plainGoAway {
	p := &plainGoAway{g.Code, g.Reason, g.DeadlineMS, g.ReconnectAfterMS, nil, g.Ticket}
	for _, e := range g.Endpoints {
		p.Endpoints = append(p.Endpoints, plainEndpoint(e))
	}
	return p
}

type errorRow struct {
	Name  string      `json:"name"`
	Error *plainError `json:"error,omitempty"`
	Code  CloseCode   `json:"code,omitempty"`
	jsonText
}

type plainError struct {
	Message      string `json:"message"`
	Reason       string `json:"reason"`
	RetryAfterMS int64  `json:"retry_after_ms"`
}
