package configs

import (
	"strings"

	"github.com/knadh/koanf/maps"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/spf13/pflag"
)

// Flags is what a command line may change.
type Flags struct {
	Set  *pflag.FlagSet
	Keys map[string]string // flag name -> the key it sets, such as "admin" -> "admin.listen"
	// Pairs are key=value texts that reach every key, and PairsFlag the name of
	// the repeatable flag they came by.
	Pairs     []string
	PairsFlag string
}

// flags adds the layer of the flags that were given.
func (l *loader) flags(flags Flags) {
	if flags.Set != nil {
		l.layer(nil, posflag.ProviderWithFlag(flags.Set, delim, nil, func(f *pflag.Flag) (string, any) {
			key, ok := flags.Keys[f.Name]
			if !ok || !f.Changed {
				return "", nil
			}
			return l.flag("--"+f.Name, key), f.Value.String()
		}), nil)
	}
	pairs := map[string]any{}
	for _, pair := range flags.Pairs {
		key, value, ok := strings.Cut(pair, "=")
		where := "--" + flags.PairsFlag + " " + key
		if !ok || key == "" {
			l.problems = append(l.problems, Problem{Where: where, Message: "want key=value"})
			continue
		}
		pairs[l.flag(where, key)] = value
	}
	l.layer(nil, tree(maps.Unflatten(pairs, delim)), nil)
}

// flag notes that key comes from where and returns its path.
func (l *loader) flag(where, key string) string {
	path := strings.Join(splitKey(key), delim)
	l.at[path] = origin{where: where}
	return path
}
