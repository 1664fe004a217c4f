package transport

import (
	"context"
	"log/slog"
	"runtime"
	"sync"

	"github.com/bytedance/gopkg/util/gopool"
	"github.com/cloudwego/netpoll"
)

// readBufferBytes is what netpoll allocates for a connection's first read, and
// the size of each further piece. With netpoll's defaults a connection costs
// 12 KB after its first message, with 512 bytes 4.1 KB; larger frames take more
// reads.
const readBufferBytes = 512

var configureOnce sync.Once

// configure sets what netpoll keeps for the whole process. Kitex shares it, so
// only what a connection carries in its context tells ours from Kitex's.
func configure(log *slog.Logger) {
	configureOnce.Do(func() {
		netpoll.LinkBufferCap = readBufferBytes
		err := netpoll.Configure(netpoll.Config{
			PollerNum:    pollers(),
			BufferSize:   readBufferBytes,
			Runner:       run,
			LoggerOutput: logWriter(log),
			LoadBalance:  netpoll.RoundRobin,
		})
		if err != nil {
			log.Warn("netpoll keeps its defaults", "error", err)
		}
	})
}

// pollers is how many event loops share the connections. One loop with inline
// handlers saturates a core before the rest of the gateway does.
func pollers() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// run decides where netpoll runs a read handler: ours inline in the poller,
// Kitex's in its goroutine pool, because those block.
func run(ctx context.Context, task func()) {
	if _, ours := ctx.(*connContext); ours {
		task()
		return
	}
	gopool.CtxGo(ctx, task)
}

// connContext is the context that netpoll hands back with every read of one of
// our connections. Its type marks the connection as ours.
type connContext struct {
	context.Context
	conn *Conn
}

// logWriter passes what netpoll logs on at debug level: it reports peers that
// reset their connections as errors, which on a public port says nothing.
func logWriter(l *slog.Logger) *slogWriter { return &slogWriter{log: l} }

type slogWriter struct{ log *slog.Logger }

func (w *slogWriter) Write(p []byte) (int, error) {
	w.log.Debug("netpoll", "line", string(p))
	return len(p), nil
}
