package gateway_test

import (
	"fmt"
	"testing"

	"github.com/holdfast-io/holdfast/gateway"
)

// TestKeysOfTheGateway: what the gateway sets, a client cannot: not by attrs, nor
// by members of HELLO, header fields or a query. The backend sees its attrs as the
// client's word, apart from the session's.
func TestKeysOfTheGateway(t *testing.T) {
	e := startEdge(t)
	e.disp.judgeBy(func(l gateway.Login) gateway.Verdict {
		return gateway.Verdict{UID: "judged", Service: "test", Attrs: map[string]string{"role": "guest"}}
	})
	const claim = `{"protocol":1,"token":"t","uid":"root","session":"mine","secret":"s","client_ip":"6.6.6.6","transport":"tls","gateway":"gw-9",` +
		`"attrs":{"uid":"root","session":"mine","client_ip":"6.6.6.6","transport":"tls","role":"admin","$uid":"root"},` +
		`"device":{"id":"d","class":"ios","uid":"root"}}`
	lies := map[string]string{
		"X-Forwarded-For": "6.6.6.6", "X-Real-Ip": "6.6.6.6", "Forwarded": "for=6.6.6.6", "True-Client-Ip": "6.6.6.6", "Cf-Connecting-Ip": "6.6.6.6",
		"X-Uid": "root", "X-User-Id": "root", "Uid": "root", "Session": "mine", "X-Holdfast-Uid": "root",
	}
	each(t, func(t *testing.T, w way) {
		own := "127.0.0.1"
		if w.unix {
			own = ""
		}
		c := e.come(t, w, approach{header: lies, query: "?uid=root&client_ip=6.6.6.6&session=mine&transport=tls&X-Forwarded-For=6.6.6.6"})
		c.say(helloJSON(claim))
		welcome := wantWelcome(t, c)
		asked := e.disp.asked()
		if len(asked) != 1 {
			t.Fatalf("the backend was asked %+v", asked)
		}
		l := asked[0]
		if l.UID != "" || l.ClientIP != own || l.Transport != w.via() || l.Session == "mine" || l.Session != welcome.Session || l.Refresh || len(l.Attrs) != 0 || l.Token != "t" {
			t.Errorf("the backend was asked %+v, want the address %q, the transport %s and nothing of the client's", l, own, w.via())
		}
		if l.ClientAttrs["uid"] != "root" || len(l.ClientAttrs) != 6 || l.Device.ID != "d" {
			t.Errorf("the client's word is %v of device %+v, want it as it was said", l.ClientAttrs, l.Device)
		}
		if welcome.UID != "judged" || welcome.Gateway != "gw-test" || welcome.Secret == "s" {
			t.Errorf("WELCOME = %+v", welcome)
		}
		o := e.disp.of("judged").origin
		if o.UID != "judged" || o.Session != welcome.Session || o.ClientIP != own || o.Transport != w.via() || fmt.Sprint(o.Attrs) != "map[role:guest]" {
			t.Errorf("requests are %+v's, want the backend's word and the gateway's", o)
		}
		c.cut()
	})
}
