package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority of a test's own.
type CA struct {
	File string // its certificate, for tools that are given a file
	Pool *x509.CertPool

	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Cert is a server certificate and its key, in files.
type Cert struct {
	CertFile, KeyFile string
	Serial            *big.Int
}

// NewCA returns a CA whose certificate is valid for a day.
func NewCA(t testing.TB) *CA {
	t.Helper()
	ca := &CA{t: t, Pool: x509.NewCertPool(), File: filepath.Join(t.TempDir(), "ca.pem"), key: newKey(t)}
	template := template("test CA")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der := sign(t, template, template, &ca.key.PublicKey, ca.key)
	ca.cert = check(x509.ParseCertificate(der))(t)
	ca.Pool.AddCert(ca.cert)
	write(t, ca.File, "CERTIFICATE", der)
	return ca
}

// Issue makes a server certificate for hosts, names or addresses, in a folder of
// its own.
func (ca *CA) Issue(hosts ...string) Cert {
	ca.t.Helper()
	dir := ca.t.TempDir()
	return ca.IssueTo(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), hosts...)
}

// IssueTo is Issue into these two files. Each is replaced whole; in between, the
// key of one pair stands beside the certificate of the other, as with many tools
// that renew certificates.
func (ca *CA) IssueTo(certFile, keyFile string, hosts ...string) Cert {
	ca.t.Helper()
	template := template(hosts[0])
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key := newKey(ca.t)
	der := sign(ca.t, template, ca.cert, &key.PublicKey, ca.key)
	write(ca.t, keyFile, "PRIVATE KEY", check(x509.MarshalPKCS8PrivateKey(key))(ca.t))
	write(ca.t, certFile, "CERTIFICATE", der)
	return Cert{CertFile: certFile, KeyFile: keyFile, Serial: template.SerialNumber}
}

// Client is the configuration of a client that trusts this CA alone.
func (ca *CA) Client(serverName string, protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool, ServerName: serverName, NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

func template(name string) *x509.Certificate {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // it never fails
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	return check(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
}

func sign(t testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	return check(x509.CreateCertificate(rand.Reader, template, parent, public, by))(t)
}

// write replaces a file by one with a PEM block.
func write(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// check returns what gives v to a test, or fails it.
func check[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
