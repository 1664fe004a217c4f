package discovery

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A kept file is one line with its kind, version and checksum, and JSON after it.
const keepVersion = "1"

// errCorrupt means that a kept file is not what was written.
var errCorrupt = errors.New("corrupt")

// saveKept replaces the file at path by one that holds v. After a crash at any
// moment the file is the old one or the new one, and whole.
func saveKept(path, kind string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	defer os.Remove(temp.Name()) // fails once it has its name, which is what we want
	_, err = temp.Write(append(keptHead(kind, body), body...))
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return nil
}

// loadKept reads what saveKept wrote into v. It reports false when there is no
// such file; an error that is errCorrupt when the file is damaged.
func loadKept(path, kind string, v any) (bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, body, _ := bytes.Cut(text, []byte("\n"))
	if !bytes.Equal(text, append(keptHead(kind, body), body...)) {
		return false, fmt.Errorf("%s: %w: its checksum does not fit", path, errCorrupt)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return false, fmt.Errorf("%s: %w: %w", path, errCorrupt, err)
	}
	return true, nil
}

func keptHead(kind string, body []byte) []byte {
	sum := sha256.Sum256(body)
	return []byte("holdfast " + kind + " " + keepVersion + " sha256:" + hex.EncodeToString(sum[:]) + "\n")
}

// syncFolder makes a rename in folder outlive a power cut.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
