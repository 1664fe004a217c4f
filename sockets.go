package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// sockets is the folder of the unix sockets by which the parts of one process
// call each other.
type sockets struct {
	folder string
	lock   *os.File // held as long as the process lives
}

// socketPathMax is what a socket's address holds on Linux, its final zero apart.
const socketPathMax = 107

// newSockets makes the folder below data, or among the system's temporary ones
// where the paths would be too long for a socket. A data folder serves one such
// process at a time; what a killed one left behind is removed.
func newSockets(data string) (*sockets, error) {
	lock, err := lockFolder(data)
	if err != nil {
		return nil, err
	}
	folder, err := socketFolder(data)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &sockets{folder, lock}, nil
}

func lockFolder(data string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(data, "dev.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s is in use by another `holdfast dev`", data)
		}
		return nil, fmt.Errorf("lock data folder %s: %w", data, err)
	}
	return lock, nil
}

func socketFolder(data string) (string, error) {
	folder, err := filepath.Abs(filepath.Join(data, "run"))
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	if len(filepath.Join(folder, "gateway.sock")) > socketPathMax {
		if folder, err = os.MkdirTemp("", "holdfast-"); err != nil {
			return "", fmt.Errorf("folder for sockets: %w", err)
		}
		return folder, nil
	}
	if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o700)); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	return folder, nil
}

// address is where the part of that name listens.
func (s *sockets) address(name string) string {
	return "unix:" + filepath.Join(s.folder, name+".sock")
}

// part gives the folder back after all the others have ended.
func (s *sockets) part() part {
	return part{"sockets", func(ctx context.Context) error {
		<-ctx.Done()
		return errors.Join(os.RemoveAll(s.folder), s.lock.Close())
	}}
}
