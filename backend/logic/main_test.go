package logic

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// By design these never end: netpoll's pollers wait for events of the whole
		// process, Kitex has one pool for time-outs, and pooled workers wait a while for
		// the next task.
		goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"),
		goleak.IgnoreAnyFunction("github.com/bytedance/gopkg/util/gopool.(*worker).run.func1"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/gopkg/concurrency/gopool.(*GoPool).workerloop"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/gopkg/concurrency/gopool.(*GoPool).runTask"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createTicker.func1"),
		goleak.IgnoreAnyFunction("github.com/cloudwego/kitex/client.(*timeoutPool).createWorker.func1"),
	)
}
