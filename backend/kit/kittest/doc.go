// Package kittest tests backends: it runs one over real Kitex calls on loopback
// and stands in for the gateway, so that a test can log in, send requests and
// see what is pushed, without a gateway process.
//
//	srv, _ := kittest.Start(t, kittest.Config("im"), backend)
//	gw := kittest.NewGateway(t, srv.Addr(), kittest.Options{Service: "im"})
//	alice := gw.Login(t, "token-of-alice", kit.Device{ID: "d1"})
//	reply := alice.Request(t, "msg.send", `{"to":"bob"}`)
//	push := alice.NextPush(t)
//
// It does what a gateway does as far as a backend can see it: sequence numbers,
// order, deferred answers, heartbeats, events. It has no windows, no resume and
// no clients. For tests only.
package kittest
