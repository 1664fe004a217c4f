package configs

// commentOf returns what a key means, as the Go comment of its field has it.
// `make docs` collects the texts into comments_gen.go, so each key is explained
// once, beside its field.
func commentOf(f field) string {
	return comments[commentKey(f)]
}

func commentKey(f field) string {
	return f.owner.PkgPath() + "." + f.owner.Name() + "." + f.name
}
