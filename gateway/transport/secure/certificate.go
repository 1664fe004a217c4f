package secure

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// pemBytesMax bounds a certificate or key file: a chain of twenty is well below.
const pemBytesMax = 1 << 20

// pair is one configured certificate as it was read last.
type pair struct {
	files Certificate
	cert  *tls.Certificate // with Leaf
	seen  seen             // what the files looked like when they were read last
	err   error            // why that failed; nil when cert is what they hold
}

// seen tells whether files have changed. Links are followed: what Kubernetes
// swaps is a link to the folder that the files are in.
type seen struct {
	cert, key stamp
	fresh     bool // a file had been written to so lately that its time may not tell of the next write
}

// stamp is what changes when a file does.
type stamp struct {
	modified time.Time
	size     int64
	inode    uint64
	device   uint64
}

// freshness is how long after a write another could have the same time and
// size: file systems tell times by ticks of a few milliseconds, some by seconds.
const freshness = 2 * time.Second

func look(files Certificate, now time.Time) (seen, error) {
	cert, err := stampOf(files.Cert)
	key, keyErr := stampOf(files.Key)
	latest := cert.modified
	if key.modified.After(latest) {
		latest = key.modified
	}
	return seen{cert: cert, key: key, fresh: now.Sub(latest) < freshness}, errors.Join(err, keyErr)
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	s := stamp{modified: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode, s.device = sys.Ino, uint64(sys.Dev) // its type differs between systems
	}
	return s, nil
}

func (s seen) same(t seen) bool { return s.cert == t.cert && s.key == t.key }

// read parses the files of a pair. Besides a key that is not the certificate's
// it refuses a file that ends within a block, which is one that is being
// written: its first certificate alone would be served without the others.
func read(files Certificate) (*tls.Certificate, error) {
	certPEM, err := readPEM(files.Cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readPEM(files.Key)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", files.Cert, files.Key, err)
	}
	for _, der := range cert.Certificate[1:] {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("%s: chain: %w", files.Cert, err)
		}
	}
	return &cert, nil
}

func readPEM(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > pemBytesMax {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("no file of at most %d bytes", pemBytesMax)}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rest := text
	for block := new(pem.Block); block != nil; {
		block, rest = pem.Decode(rest)
	}
	if bytes.Contains(rest, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("%s: ends within a PEM block", path)
	}
	return text, nil
}

// served is the certificates of a store at one time, by name. It is replaced
// whole.
type served struct {
	all    []*tls.Certificate            // as configured
	byName map[string][]*tls.Certificate // lower case, "*." included; in the order configured
	expiry time.Time                     // of the first to expire
}

func newServed(pairs []pair) *served {
	s := &served{byName: make(map[string][]*tls.Certificate)}
	for _, p := range pairs {
		s.all = append(s.all, p.cert)
		if s.expiry.IsZero() || p.cert.Leaf.NotAfter.Before(s.expiry) {
			s.expiry = p.cert.Leaf.NotAfter
		}
		for _, name := range p.cert.Leaf.DNSNames {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			s.byName[name] = append(s.byName[name], p.cert)
		}
	}
	return s
}

// choose picks the certificate for a client: by the name it asks for, then by
// its first label's wildcard, else the first of all; among several of a name,
// the first whose key type the client can verify.
func (s *served) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if found := supported(s.byName[name], hello); found != nil {
		return found
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if found := supported(s.byName["*."+parent], hello); found != nil {
			return found
		}
	}
	return s.all[0]
}

// supported is the first that the client supports, else the first.
func supported(certs []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	for _, cert := range certs {
		if len(certs) == 1 || hello.SupportsCertificate(cert) == nil {
			return cert
		}
	}
	if len(certs) > 0 {
		return certs[0]
	}
	return nil
}
