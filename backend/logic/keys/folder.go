package keys

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// The names in a data folder, and the kid of its key.
const (
	folderKeyName      = "token.key"
	folderDatabaseName = "im.db"
	folderKid          = "local"
)

// Folder is a data folder: the place where a start without any configuration
// keeps its key and its database, readable by their owner only.
type Folder struct {
	Path string
	Key  Key // signs and verifies, HS256
}

// Database returns the path of the folder's database, which may not exist yet.
func (f Folder) Database() string { return filepath.Join(f.Path, folderDatabaseName) }

// Sign makes a token for uid that is valid from now on.
func (f Folder) Sign(uid string, ttl time.Duration) (string, error) {
	return f.Key.Sign(uid, time.Now(), ttl)
}

// OpenFolder opens a data folder as MakeFolder does, and its key, which it
// creates at the first start. Processes that do so at once all get the same key.
func OpenFolder(path string, log *slog.Logger) (Folder, error) {
	if err := MakeFolder(path, log); err != nil {
		return Folder{}, err
	}
	f := Folder{Path: path}
	file := filepath.Join(path, folderKeyName)
	err := narrowKey(file, log)
	if errors.Is(err, fs.ErrNotExist) {
		err = createKey(path, file)
	}
	if err == nil {
		f.Key, err = Load(Config{Kid: folderKid, Algorithm: HS256, File: file})
	}
	if err != nil {
		return Folder{}, fmt.Errorf("data folder %s: %w", path, err)
	}
	return f, nil
}

// MakeFolder makes sure that a data folder is there and can be written to. A new
// or empty one gets mode 0700. One that holds something already keeps its mode,
// as it may be anyone's: the files made in it are 0600 in any case, and a warning
// says so. Only a folder in which everyone may replace files is refused.
func MakeFolder(path string, log *slog.Logger) error {
	if path == "" {
		return errors.New("data folder: no path")
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("data folder %s: %w", path, cause(err))
	}
	if err := narrowFolder(path, log); err != nil {
		return fmt.Errorf("data folder %s: %w", path, err)
	}
	// The only sure way to learn whether one may write is to write.
	f, err := os.CreateTemp(path, ".probe-*")
	if err != nil {
		return fmt.Errorf("data folder %s cannot be written to: %w", path, cause(err))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func narrowFolder(path string, log *slog.Logger) error {
	fi, err := os.Stat(path)
	if err != nil {
		return cause(err)
	}
	if fi.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if entries, err := os.ReadDir(path); err == nil && len(entries) == 0 {
		return cause(os.Chmod(path, 0o700))
	}
	if fi.Mode().Perm()&0o002 != 0 && fi.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("mode %04o lets everyone replace the keys; chmod 700 it or choose another", fi.Mode().Perm())
	}
	log.LogAttrs(context.Background(), slog.LevelWarn, "data folder is open to other users; its files are not",
		slog.String("folder", path), slog.String("mode", fmt.Sprintf("%04o", fi.Mode().Perm())))
	return nil
}

// narrowKey takes from others what they may do with an existing key.
func narrowKey(file string, log *slog.Logger) error {
	fi, err := os.Stat(file)
	if err != nil {
		return err
	}
	if fi.Mode().Perm()&0o077 == 0 {
		return nil
	}
	log.LogAttrs(context.Background(), slog.LevelWarn, "key file was open to other users; replace it if they may have read it",
		slog.String("file", file), slog.String("mode", fmt.Sprintf("%04o", fi.Mode().Perm())))
	return os.Chmod(file, 0o600)
}

// createKey writes a new random key to file, unless another process has been
// faster. A reader sees all of it or none.
func createKey(folder, file string) (err error) {
	var secret [secretBytesMin]byte
	rand.Read(secret[:]) //nolint:errcheck // never fails: it ends the process instead
	tmp, err := os.CreateTemp(folder, ".key-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(secret[:]) + "\n")
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	// Unlike a rename, a link does not replace what is there.
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(folder)
}

// syncFolder puts the names in a folder on the disk.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cause takes the path off an error whose message will name it.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
