package discovery

import "context"

// RegisterUntilKilled is Register that ends as a killed process does: it takes
// nothing back.
func (c *ConsulRegistrar) RegisterUntilKilled(ctx context.Context, r Registration) error {
	defer c.client.close()
	c.metrics.begin(r.Service)
	return c.newSeat(r).run(ctx)
}
