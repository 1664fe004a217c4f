package configs

import (
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
)

const (
	envPrefix = "HOLDFAST_"
	envLevel  = "__"
	// envTests begins what the project's own tests read; it is no configuration.
	envTests = "HOLDFAST_TEST_"
)

// EnvName returns the variable that sets key (in its printed form) for role.
func EnvName(role Role, key string) string {
	return envPrefix + strings.ToUpper(strings.Join(append([]string{string(role)}, splitKey(key)...), envLevel))
}

// env adds the layer of the variables that are meant for this role. Variables
// of other roles may stand beside them (one environment file for a whole host),
// but a variable that no role reads is a mistake, whichever role runs.
func (l *loader) env(environ []string) {
	var mine []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, envTests) {
			continue
		}
		role, path, ok := envPath(name)
		switch {
		case !ok:
			l.problems = append(l.problems, Problem{Where: name,
				Message: "unknown variable: want " + envPrefix + "<ROLE>" + envLevel + "<KEY> with a role of " + RoleNames()})
		case role == l.role:
			mine = append(mine, pair)
			l.at[strings.Join(path, delim)] = origin{where: name}
		default:
			if message := unknownIn(role, path); message != "" {
				l.problems = append(l.problems, Problem{Where: name, Key: joinKey(path), Message: message})
			}
		}
	}
	slices.Sort(mine)
	l.layer(nil, env.Provider(delim, env.Opt{
		EnvironFunc: func() []string { return mine },
		TransformFunc: func(name, value string) (string, any) {
			_, path, _ := envPath(name)
			return strings.Join(path, delim), value
		},
	}), nil)
}

// envPath splits HOLDFAST_GATEWAY__LISTENERS__0__ADDRESS into the role and the
// path of the key.
func envPath(name string) (Role, []string, bool) {
	parts := strings.Split(strings.ToLower(strings.TrimPrefix(name, envPrefix)), envLevel)
	role := Role(parts[0])
	if len(parts) < 2 || slices.Contains(parts, "") || !role.Valid() {
		return "", nil, false
	}
	return role, parts[1:], true
}
