package kit

import "sync"

// owner starts goroutines and waits for them. After close it starts none, so a
// late caller cannot leave one behind.
type owner struct {
	mu   sync.Mutex
	open bool
	wg   sync.WaitGroup
}

// start lets goroutines be started.
func (o *owner) start() {
	o.mu.Lock()
	o.open = true
	o.mu.Unlock()
}

// run starts f on a goroutine, or reports that the owner is not open.
func (o *owner) run(f func()) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open {
		return false
	}
	o.wg.Go(f)
	return true
}

// close lets no more goroutines start and waits for those that were.
func (o *owner) close() {
	o.mu.Lock()
	o.open = false
	o.mu.Unlock()
	o.wg.Wait()
}
