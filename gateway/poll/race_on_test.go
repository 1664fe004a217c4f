//go:build race

package poll

// raceEnabled: sync.Pool then forgets what it is given now and then.
const raceEnabled = true
