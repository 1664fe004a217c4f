// Package testenv starts the real servers that tests need, each with ports and a
// data folder of its own, and ends them with the test. Only tests import it.
//
// Nothing is downloaded or built here. Where the server is comes from the
// environment, which `make test` fills in; a test whose server is not given is
// skipped and says what is missing:
//
//	HOLDFAST_TEST_CONSUL_BIN  the path of a Consul binary (`make consul` builds one)
//	HOLDFAST_TEST_CONSUL      host:port of a Consul that runs already; tests that
//	                          stop or empty it are skipped
//	HOLDFAST_TEST_STRICT      set: a test whose tool (haproxy, chromium, curl) is
//	                          not on the PATH fails instead; `make test` sets it
//	HOLDFAST_TEST_SOAK        set: the long forms of tests run as well
//
// Besides servers there is what stands between them and clients: a certificate
// authority (NewCA) and a network that can be cut, frozen and slowed (StartProxy).
package testenv

import "os"

// Soak tells whether the long forms of tests are to run.
func Soak() bool { return os.Getenv("HOLDFAST_TEST_SOAK") != "" }
