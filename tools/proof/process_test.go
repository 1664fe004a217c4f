package proof

import (
	"testing"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

const patience = testenv.Patience

// built is the binary that the tests of this process share.
var built = testenv.Binary{Package: "../.."}

func holdfast(t *testing.T) string { return built.Path(t) }

type proc = testenv.Process

func start(t *testing.T, name, path string, args ...string) *proc {
	t.Helper()
	return testenv.StartProcess(t, name, nil, nil, path, args...)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, what, ok)
}
