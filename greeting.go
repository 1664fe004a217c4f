package main

import (
	"bytes"
	"io"
	"net"
	"text/template"
	"time"

	"github.com/holdfast-io/holdfast/backend/logic/keys"
)

// greeting is what `holdfast dev` prints once everything is ready: what listens
// where, and lines to paste.
type greeting struct {
	command     string       // how this program is called
	listen      string       // for clients
	certificate string       // the certificate's file; empty without TLS
	admin       net.Listener // nil: switched off
	folder      keys.Folder
}

// greetingTokenTTL is how long the printed tokens are valid.
const greetingTokenTTL = 24 * time.Hour

// write prints it.
func (g greeting) write(out io.Writer) error {
	values := map[string]string{
		"command": g.command, "listen": g.listen, "data": g.folder.Path, "cert": g.certificate,
		"transports": "tcp, ws, poll, sse", "http": "http://" + g.listen, "ws": "ws://" + g.listen,
	}
	if g.certificate != "" {
		values["transports"] += " and, over TLS, tls, wss, polls, sses"
		values["curl"], values["http"] = " --cacert "+g.certificate, "https://"+g.listen
	}
	if g.admin != nil {
		values["admin"] = g.admin.Addr().String()
	}
	for name, uid := range map[string]string{"from": "1001", "to": "1002"} {
		token, err := g.folder.Sign(uid, greetingTokenTTL)
		if err != nil {
			return err
		}
		values[name] = token
	}
	var text bytes.Buffer // written at once, not between lines of the log
	if err := greetingText.Execute(&text, values); err != nil {
		return err
	}
	_, err := text.WriteTo(out)
	return err
}

// greetingText shows the same port by each kind of client. A page's console needs
// nothing installed, but its page must be one that may connect.
var greetingText = template.Must(template.New("greeting").Option("missingkey=zero").Parse(`
clients    {{.listen}}
           {{.transports}}
{{- if .admin}}
admin      http://{{.admin}} (/livez, /readyz, /metrics, /debug/pprof/)
{{- end}}
data       {{.data}}
{{- if .cert}}
TLS        {{.cert}} is for clients to trust
{{- end}}

A first message: paste the first line into a second terminal, the second into a third.

{{.command}} chat --endpoint {{.listen}} --token {{.to}} --receive 1 --timeout 10m

{{.command}} chat --endpoint {{.listen}} --token {{.from}} --to 1002 --send 'hello from 1001'

By hand: a long-poll session, with a request and its reply.

hello=$(curl -sS{{.curl}} {{.http}}/v1/poll --json '{"protocol":1,"token":"{{.from}}"}')
bearer=$(printf '%s' "$hello" | sed -E 's/.*"session":"([^"]+)","secret":"([^"]+)".*/\1.\2/')
curl -sS{{.curl}} -H "Authorization: Bearer $bearer" '{{.http}}/v1/poll/frames?wait_ms=5000' --json '[{"type":"request","id":1,"command":"echo.say","payload":"hi"}]'

In a browser: the console of any page of http://localhost or http://127.0.0.1.

ws = new WebSocket("{{.ws}}/v1/ws"); ws.onmessage = m => console.log(m.data)
ws.onopen = () => { ws.send('{"type":"hello","protocol":1,"token":"{{.from}}"}'); ws.send('{"type":"request","id":1,"command":"echo.say","payload":"hi"}') }

To talk line by line see ` + "`{{.command}} chat --help`" + `. Ctrl-C ends this process.
`))
