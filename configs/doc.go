// Package configs turns a role's configuration file, environment and flags into
// one typed, validated struct, and says where each mistake stands.
//
// Each component owns its Config; a role's struct here composes them. Four
// layers lie over each other, the later ones on top:
//
//	defaults  <-  FILE (YAML)  <-  HOLDFAST_<ROLE>__KEY  <-  flags
//
// Nothing is guessed: a key that nobody reads, a value of the wrong kind and a
// combination that cannot work are errors, all of them reported together, each
// with the file and line, the variable or the flag it came from.
//
// Only main imports this package.
package configs
