package configs

import "github.com/holdfast-io/holdfast/backend/logic"

// logicAddress is where logic listens by default, and where a gateway looks for it.
const logicAddress = "127.0.0.1:7081"

// Logic is the configuration of `holdfast logic`.
type Logic struct {
	// Logic is the service; its keys stand at the top of the file.
	Logic logic.Config `koanf:",squash"`
	// Register says how gateways learn of this instance.
	Register Register `koanf:"register"`
	// Admin is the HTTP server for operators.
	Admin Admin `koanf:"admin"`
	// Log is how the process writes its log.
	Log Log `koanf:"log"`
}

// DefaultLogic keeps everything in a folder below the current one.
func DefaultLogic() Logic {
	c := Logic{Logic: logic.DefaultConfig(), Register: DefaultRegister(), Admin: Admin{Listen: "127.0.0.1:7082"}, Log: DefaultLog()}
	c.Logic.Kit.Listen = logicAddress
	return c
}

// Check reports what the sections cannot see of each other.
func (c Logic) Check() error { return c.Register.checkFor(c.Logic.Kit.Service, c.Logic.Kit.Listen) }
