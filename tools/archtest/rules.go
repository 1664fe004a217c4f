package archtest

// module is the prefix of the project's own packages; rules name them without it.
const module = "github.com/holdfast-io/holdfast"

// root is the name of package main in the rules.
const root = "."

// mayImport lists the packages of the project that each one may import. A
// package that is not listed is a violation, so a new one is placed on purpose.
// Services (gateway, dispatcher, scheduler, backend/*) never import each other:
// they meet in main. The kit is what backends are built on.
var mayImport = map[string][]string{
	root: {
		"configs", "gateway", "gateway/client", "gateway/session", "gateway/transport", "gateway/transport/secure",
		"gateway/transport/proxyproto", // health checks may begin with such a header
		"gateway/admission", "gateway/wire", "gateway/push",
		"dispatcher", "dispatcher/discovery",
		"backend/kit", "backend/echo", "backend/logic", "backend/logic/keys", "backend/presence", "backend/store",
		"tools/bench", "tools/ctl",
	},
	"configs": {
		"gateway", "gateway/admission", "gateway/push", "gateway/transport", "gateway/transport/secure",
		"dispatcher", "dispatcher/discovery", "backend/kit", "backend/echo", "backend/logic", "backend/logic/keys", "backend/presence", "backend/store",
	},

	"gateway": {
		"gateway/wire", "gateway/wheel", "gateway/transport", "gateway/transport/secure", "gateway/poll",
		"gateway/admission", "gateway/session", "gateway/push", "idl/endpoint",
	},
	"gateway/wire":      nil,
	"gateway/wheel":     nil,
	"gateway/admission": {"gateway/wire"},
	"gateway/transport": {
		"gateway/wire", "gateway/wheel", "idl/endpoint",
		"gateway/transport/http1", "gateway/transport/proxyproto", "gateway/transport/secure", "gateway/transport/websocket",
	},
	"gateway/transport/http1":      nil,
	"gateway/transport/websocket":  {"gateway/wire", "gateway/transport/http1"},
	"gateway/transport/proxyproto": nil,
	"gateway/transport/secure":     nil,
	"gateway/session":              {"gateway/wire"},
	"gateway/poll":                 {"gateway/wire", "gateway/wheel", "gateway/transport/http1"},
	"gateway/push":                 {"gateway/wire", "gateway/session", "idl/endpoint", "idl/rpc"},
	"gateway/client":               {"gateway/wire"},

	"dispatcher":                 {"dispatcher/slots", "dispatcher/lane", "dispatcher/discovery"},
	"dispatcher/slots":           nil,
	"dispatcher/lane":            nil,
	"dispatcher/discovery":       {"dispatcher/discovery/claim"},
	"dispatcher/discovery/claim": nil,

	// What both ends of the contract share: how its services are served and called.
	"idl/endpoint": nil,
	"idl/rpc":      {"idl/endpoint"},

	"backend/kit":                 {"backend/kit/internal/engine", "idl/endpoint", "idl/rpc"},
	"backend/kit/internal/engine": nil,
	"backend/echo":                {"backend/kit"},
	"backend/logic":               {"backend/kit", "backend/logic/keys", "backend/presence", "backend/store"},
	"backend/logic/keys":          nil,
	"backend/presence":            nil,
	"backend/store":               nil,

	"tools/bench":      {"tools/bench/bare", "tools/bench/load", "tools/bench/proc"},
	"tools/bench/bare": nil,
	"tools/bench/load": {"gateway/wire"}, // an epoll loop of its own: it must cost less than what it measures
	"tools/bench/proc": nil,
	"tools/ctl":        {"dispatcher", "dispatcher/discovery"},
	"tools/archtest":   nil,
}

// testSuites are packages of test helpers: anybody's tests may import them, no
// product code may. What they may import themselves is listed here.
var testSuites = map[string][]string{
	"backend/kit/kittest":                {"backend/kit", "idl/endpoint", "idl/rpc"},
	"backend/presence/presencetest":      {"backend/presence"},
	"backend/store/storetest":            {"backend/store"},
	"dispatcher/discovery/discoverytest": {"dispatcher/discovery"},
	"tools/testenv":                      nil, // starts the real servers that tests need
	"tools/faults":                       nil, // only tests: faults of real processes under traffic
	"tools/faults/check":                 nil, // the judge of those tests
	"tools/proof":                        nil, // only tests: attacks on real processes
}

// doors lists, for each third party, the packages whose product code may import
// it. Its types do not go further. A third party that is not listed is a
// violation, so a new dependency is a reviewed decision too.
var doors = map[string][]string{
	"github.com/cloudwego/netpoll":            {"gateway/transport"},
	"github.com/bytedance/gopkg":              {"gateway/transport"}, // gopool, which is netpoll's
	"github.com/cloudwego/kitex":              kitexDoors,
	"github.com/cloudwego/gopkg":              kitexDoors,
	contract:                                  kitexDoors,
	"github.com/gaissmai/bart":                {"gateway/admission"},
	"github.com/gobwas/ws":                    {"gateway/transport/websocket"},
	"github.com/sony/gobreaker/v2":            {"dispatcher"},
	"github.com/hashicorp/consul/api":         {"dispatcher/discovery"},
	"github.com/cespare/xxhash/v2":            {"dispatcher/slots", "gateway/session"},
	"github.com/pressly/goose/v3":             {"backend/store"},
	"modernc.org/sqlite":                      {"backend/store"},
	"github.com/golang-jwt/jwt/v5":            {"backend/logic/keys"},
	"github.com/knadh/koanf":                  {"configs"},
	"go.yaml.in/yaml/v3":                      {"configs"},
	"github.com/spf13/pflag":                  {"configs"},
	"github.com/spf13/cobra":                  {root},
	"github.com/HdrHistogram/hdrhistogram-go": {"tools/bench", "tools/bench/load"},
	"golang.org/x/sys":                        {"gateway/transport", "tools/bench/load", "tools/bench/proc"},
	"golang.org/x/sync":                       anyPackage,
	"golang.org/x/time":                       anyPackage,
	"github.com/prometheus/client_golang":     anyPackage,
}

// kitexDoors are where RPC is spoken.
var kitexDoors = []string{
	"gateway/push", "dispatcher", "backend/kit", "backend/kit/internal/engine", "idl/rpc",
}

// contract is the generated code of the IDL. It has doors like a third party,
// since its types are Kitex's.
const contract = module + "/idl/kitex_gen"

// anyPackage as a door: every package but the pure ones.
var anyPackage = []string{"*"}

// testOnly may be imported by tests, and by nothing else.
var testOnly = []string{
	"go.uber.org/goleak",
	"pgregory.net/rapid",
	"github.com/google/go-cmp",
	"github.com/pires/go-proxyproto",
	"github.com/chromedp/chromedp",
}

// pure packages have no clock, no goroutine, no logger, no metrics and no I/O:
// what they do depends on their arguments alone. Durations are arguments too, so
// they may import time, but not ask for it.
var pure = []string{
	"gateway/wire",
	"gateway/transport/proxyproto",
	"dispatcher/slots",
	"dispatcher/lane",
	"dispatcher/discovery/claim",
}

// impure are the imports that a pure package does not have.
var impure = []string{
	"log", "log/slog", "os", "os/signal", "net", "net/http", "io/fs", "context", "math/rand", "math/rand/v2", "crypto/rand",
	"github.com/prometheus/client_golang", "golang.org/x/sync", "golang.org/x/time",
}

// The sizes beyond which a file is hard to hold in the head.
const (
	fileLinesMax     = 500
	testFileLinesMax = 800
)

// exemption lets one package or file break one rule, for a reason.
type exemption struct{ who, what, reason string }

// exemptions: who is a package or a file, what the import, call or limit.
var exemptions = []exemption{
	{"tools/bench/bare", "github.com/cloudwego/netpoll", "the bare netpoll server that gateways are measured against"},
	{root, "github.com/cloudwego/kitex", "logging.go sends Kitex's process-wide log into ours; nothing else of it is used"},
}
