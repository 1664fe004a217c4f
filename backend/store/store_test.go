package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/backend/store"
	"github.com/holdfast-io/holdfast/backend/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		cfg := store.DefaultConfig()
		cfg.Path = filepath.Join(t.TempDir(), "im.db")
		cfg.WriteWait = 30 * time.Second // a slow, loaded machine is no failure here
		s, err := store.OpenSQLite(t.Context(), cfg, prometheus.NewRegistry())
		if err != nil {
			t.Fatalf("OpenSQLite = %v", err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
		})
		return s
	})
}

func TestMain(m *testing.M) {
	writeUntilKilled()
	goleak.VerifyTestMain(m)
}
