package faults

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(recorderEnv); settings != "" {
		os.Exit(recorderMain(settings))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		built.Remove()
		os.Exit(code)
	}))
}
