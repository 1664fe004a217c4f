package discovery

import "context"

// RegisterUntilKilled is Register that ends as a killed process does: it takes
// nothing back.
func (c *ConsulRegistrar) RegisterUntilKilled(ctx context.Context, r Registration) error {
	return c.RegisterThen(ctx, r, func() bool { return false })
}

// RegisterThen asks at its end whether to take the registration back.
func (c *ConsulRegistrar) RegisterThen(ctx context.Context, r Registration, leaves func() bool) error {
	defer c.client.close()
	c.metrics.begin(r.Service)
	s := c.newSeat(r)
	err := s.run(ctx)
	if leaves() {
		s.leave(context.WithoutCancel(ctx))
	}
	return err
}
