package configs
type Gateway = Dev
type Logic = Dev
type Echo = Dev
func DefaultGateway() Gateway { return DefaultDev() }
func DefaultLogic() Logic { return DefaultDev() }
func DefaultEcho() Echo { return DefaultDev() }
