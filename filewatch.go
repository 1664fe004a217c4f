package main

import (
	"os"
	"syscall"
	"time"
)

// fileWatch tells when a file has changed and has then stayed the same between two
// looks, so that one which is being written is not read. It looks when it is asked.
type fileWatch struct {
	path string
	told fileState // what the owner has read
	last fileState // of the last look
}

// fileState changes when a file does: also when another takes its place, and when
// a symbolic link points to another.
type fileState struct {
	size     int64
	modified time.Time
	inode    uint64
}

// watchFile returns a fileWatch that tells of changes from now on.
func watchFile(path string) *fileWatch {
	now := stateOf(path)
	return &fileWatch{path: path, told: now, last: now}
}

// changed reports true once for each change. A file that is not there is being
// replaced: that is no change.
func (w *fileWatch) changed() bool {
	now := stateOf(w.path)
	settled := now == w.last
	w.last = now
	if !settled || now == w.told || now == (fileState{}) {
		return false
	}
	w.told = now
	return true
}

// stateOf is zero for a file that cannot be found.
func stateOf(path string) fileState {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}
	}
	s := fileState{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}
