package ctl

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/dispatcher"
)

// gatewayWith serves answer at path, and notes what it was asked.
func gatewayWith(t *testing.T, path string, answer any) (Admin, *string) {
	t.Helper()
	asked := new(string)
	mux := http.NewServeMux()
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		*asked = r.URL.RawQuery
		_ = json.NewEncoder(w).Encode(answer)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return Admin{Address: strings.TrimPrefix(server.URL, "http://"), Timeout: time.Minute}, asked
}

// outage is the explanation of a user whose instance is down.
func outage() dispatcher.Explanation {
	return dispatcher.Explanation{
		UID: "1001", Command: "msg.send", Service: "logic", Route: "msg.", Slots: 3, TableVersion: 7, Slot: 1,
		Holder: dispatcher.Candidate{Slot: 1, Instance: "logic-1", Address: "10.0.0.2:7081", Breaker: "open"},
		Substitutes: []dispatcher.Candidate{
			{Slot: 0},
			{Slot: 2, Instance: "logic-2", Address: "10.0.0.3:7081", Breaker: "closed", Usable: true},
		},
		Picked: "logic-2", Outage: "reject",
	}
}

func TestRoute(t *testing.T) {
	nobody := outage()
	nobody.Substitutes, nobody.Picked, nobody.Refusal = nil, "", "breaker_open"
	login := outage()
	login.Command, login.Route = "", ""
	all := outage()
	all.Route = ""
	tests := []struct {
		name string
		e    dispatcher.Explanation
		want string
	}{
		{"outage", outage(), `user 1001, command msg.send: service logic (route "msg."), slot 1 of 3, goes to logic-2
                SLOT  INSTANCE  ADDRESS        BREAKER  STATE
  holder        1     logic-1   10.0.0.2:7081  open     failed
  substitute 1  0     -         -              -        vacant
> substitute 2  2     logic-2   10.0.0.3:7081  closed   usable
`},
		{"nobody", nobody, `user 1001, command msg.send: service logic (route "msg."), slot 1 of 3, goes nowhere (breaker_open), answered by reject
          SLOT  INSTANCE  ADDRESS        BREAKER  STATE
  holder  1     logic-1   10.0.0.2:7081  open     failed
`},
		{"no route", dispatcher.Explanation{UID: "1", Command: "x.y", Slot: -1}, "user 1, command x.y: no route takes it\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, asked := gatewayWith(t, RoutePath, tt.e)
			var b bytes.Buffer
			if err := Route(t.Context(), Output{To: &b}, from, tt.e.UID, tt.e.Command); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want := "command=" + tt.e.Command + "&uid=" + tt.e.UID; *asked != want {
				t.Errorf("asked for %q, want %q", *asked, want)
			}
		})
	}
	for e, want := range map[*dispatcher.Explanation]string{&login: "user 1001: service logic (judges logins), slot", &all: "service logic (the route of every command), slot"} {
		from, _ := gatewayWith(t, RoutePath, e)
		var b bytes.Buffer
		if err := Route(t.Context(), Output{To: &b}, from, e.UID, e.Command); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("Route = %v, %q, want %q in it", err, b.String(), want)
		}
	}
}

// TestJSON checks that what a gateway says passes through as it is.
func TestJSON(t *testing.T) {
	from, _ := gatewayWith(t, RoutePath, outage())
	var b bytes.Buffer
	if err := Route(t.Context(), Output{To: &b, JSON: true}, from, "1001", ""); err != nil {
		t.Fatal(err)
	}
	var back dispatcher.Explanation
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(outage(), back); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInstances(t *testing.T) {
	from, asked := gatewayWith(t, InstancesPath, []dispatcher.InstanceView{
		{Service: "logic", ID: "logic-0", Address: "10.0.0.1:7081", Up: true, Breaker: "closed", Limiter: "off", PerSecond: 12.34, ErrorRatio: 0.005, CallMS: 1.5, Queued: 3, Outstanding: 7},
		{Service: "logic", ID: "logic-1", Slot: 1, Breaker: "open", BreakerOpened: 2, Limiter: "100", ErrorRatio: 1},
		{Service: "logic", ID: "logic-x", Slot: -1, Up: true, Draining: true, Breaker: "off", Limiter: "off"},
	})
	var b bytes.Buffer
	if err := Instances(t.Context(), Output{To: &b}, from, "logic"); err != nil {
		t.Fatal(err)
	}
	want := `SERVICE  SLOT  INSTANCE  ADDRESS        STATE     REQ/S  ERRORS  CALL    QUEUED  AT WORK  BREAKER           LIMITER
logic    0     logic-0   10.0.0.1:7081  up        12.3   0.5%    1.50ms  3       7        closed            off
logic    1     logic-1   -              down      0.0    100.0%  0.00ms  0       0        open (opened 2x)  100
logic    -     logic-x   -              draining  0.0    0.0%    0.00ms  0       0        off               off
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if *asked != "service=logic" {
		t.Errorf("asked for %q, want the service", *asked)
	}
}
