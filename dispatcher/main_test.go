package dispatcher

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(serveEnv); address != "" {
		serveForever(address) // the test binary as a backend process that can be killed
	}
	goleak.VerifyTestMain(m,
		// netpoll's pollers and Kitex's pooled goroutines live as long as the process,
		// by design; the tests with real connections start them.
		goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"),
		goleak.IgnoreAnyFunction("github.com/bytedance/gopkg/util/gopool.(*worker).run.func1"),
	)
}
