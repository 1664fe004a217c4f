package configs

import (
	"reflect"
	"slices"
	"strings"
)

// Role is a subcommand of the binary that has a configuration.
type Role string

const (
	RoleGateway Role = "gateway"
	RoleLogic   Role = "logic"
	RoleEcho    Role = "echo"
	RoleDev     Role = "dev"
)

// Roles lists them in the order that help and the documentation use.
var Roles = []Role{RoleGateway, RoleLogic, RoleEcho, RoleDev}

// Valid tells whether r is a role.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Default returns the role's struct with its defaults.
func (r Role) Default() any {
	switch r {
	case RoleGateway:
		return DefaultGateway()
	case RoleLogic:
		return DefaultLogic()
	case RoleEcho:
		return DefaultEcho()
	case RoleDev:
		return DefaultDev()
	}
	panic("configs: no role " + string(r))
}

// RoleNames lists the roles for a message.
func RoleNames() string {
	names := make([]string, len(Roles))
	for i, r := range Roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// RoleOf guesses the role of a file from its name: "gateway.bench.yaml" is a
// gateway's. It returns "" where the name says nothing.
func RoleOf(base string) Role {
	first, _, _ := strings.Cut(base, ".")
	if r := Role(first); r.Valid() {
		return r
	}
	return ""
}

// unknownIn tells what is wrong with a path of keys in role's configuration, or
// returns "". Values are not looked at.
func unknownIn(role Role, path []string) string {
	t := reflect.TypeOf(role.Default())
	for i, part := range path {
		switch kindOf(t, path[max(i-1, 0)]) {
		case kindSection:
			fields := fieldsOf(t)
			n := slices.IndexFunc(fields, func(f fieldPath) bool { return f.key == part })
			if n < 0 {
				known := make([]string, len(fields))
				for i := range fields {
					known[i] = fields[i].key
				}
				return unknownMessage(part, known)
			}
			t = fields[n].typ
		case kindList, kindMap:
			t = t.Elem()
		default:
			return unknownMessage(part, nil)
		}
	}
	return ""
}
