package discovery

// Static is a Discovery whose instances come from a configuration file.
type Static struct {
	publisher
}

var _ Discovery = (*Static)(nil)

// NewStatic returns a Static that knows instances, or every reason why they
// cannot be.
func NewStatic(instances []Instance) (*Static, error) {
	s := &Static{}
	if err := s.Replace(instances); err != nil {
		return nil, err
	}
	return s, nil
}

// Replace makes instances the whole membership. The file gives the slots: a number
// below the highest that no instance holds is vacant, and removing the instance
// with the highest number makes n smaller. When it returns an error nothing has
// changed.
func (s *Static) Replace(instances []Instance) error {
	services, err := build(instances, nil)
	if err != nil {
		return err
	}
	s.publish(services)
	return nil
}
