package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	selfSignedCert = "tls-cert.pem"
	selfSignedKey  = "tls-key.pem"

	selfSignedFor  = 397 * 24 * time.Hour // the longest that browsers take
	selfSignedLeft = 30 * 24 * time.Hour  // less than this and a new one is made
)

// SelfSigned returns a certificate for hosts, names or IP addresses, in dir,
// which it creates: tls-cert.pem, which a client may be told to trust, and
// tls-key.pem, readable to the user alone. It is for trying things out. A
// certificate that is there already is used while it is for the same hosts and
// valid for 30 days more. Files are replaced whole; after a crash between the
// two, the next call makes them anew.
func SelfSigned(dir string, hosts []string) (Certificate, error) {
	files := Certificate{Cert: filepath.Join(dir, selfSignedCert), Key: filepath.Join(dir, selfSignedKey)}
	if len(hosts) == 0 {
		return Certificate{}, errors.New("self-signed certificate: no hosts")
	}
	if usable(files, hosts, time.Now()) {
		return files, nil
	}
	certPEM, keyPEM, err := signSelf(hosts, time.Now())
	if err != nil {
		return Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	if err := replaceFile(files.Key, keyPEM, 0o600); err != nil {
		return Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	if err := replaceFile(files.Cert, certPEM, 0o644); err != nil {
		return Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	return files, nil
}

// usable reports whether files hold a pair for exactly these hosts, private and
// valid for long enough.
func usable(files Certificate, hosts []string, now time.Time) bool {
	info, err := os.Stat(files.Key)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	cert, err := read(files)
	if err != nil || now.Before(cert.Leaf.NotBefore) || now.Add(selfSignedLeft).After(cert.Leaf.NotAfter) {
		return false
	}
	has := slices.Clone(cert.Leaf.DNSNames)
	for _, ip := range cert.Leaf.IPAddresses {
		has = append(has, ip.String())
	}
	want := make([]string, 0, len(hosts))
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			host = ip.String() // as the certificate will spell it
		}
		want = append(want, host)
	}
	slices.Sort(has)
	slices.Sort(want)
	return slices.Equal(has, slices.Compact(want))
}

func signSelf(hosts []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "holdfast dev"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedFor), // an hour: clocks differ
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	unique := slices.Clone(hosts)
	slices.Sort(unique)
	for _, host := range slices.Compact(unique) {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return certPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// replaceFile writes b beside path and moves it there, so that a reader sees the
// old file or the new one.
func replaceFile(path string, b []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error says more
		}
	}()
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
