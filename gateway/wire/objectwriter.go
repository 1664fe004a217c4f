package wire

import "strconv"

// objectWriter appends the members of one JSON object. Names are ours and need
// no escapes; values are escaped, and what is not UTF-8 in them replaced.
type objectWriter struct {
	dst   []byte
	comma bool
}

func openObject(dst []byte) *objectWriter { return &objectWriter{dst: append(dst, '{')} }

// close ends the object and returns everything.
func (o *objectWriter) close() []byte { return append(o.dst, '}') }

func (o *objectWriter) name(name string) {
	if o.comma {
		o.dst = append(o.dst, ',')
	}
	o.comma = true
	o.dst = appendString(o.dst, name)
	o.dst = append(o.dst, ':')
}

func (o *objectWriter) text(name, value string) {
	o.name(name)
	o.dst = appendString(o.dst, value)
}

// optText leaves an empty text out.
func (o *objectWriter) optText(name, value string) {
	if value != "" {
		o.text(name, value)
	}
}

func (o *objectWriter) number(name string, n uint64) {
	o.name(name)
	o.dst = strconv.AppendUint(o.dst, n, 10)
}

// ms writes a duration; one that the protocol does not have becomes the
// nearest that it has.
func (o *objectWriter) ms(name string, ms int64) {
	o.number(name, uint64(min(max(ms, 0), DurationMSMax)))
}

// optMS leaves 0 and less out.
func (o *objectWriter) optMS(name string, ms int64) {
	if ms > 0 {
		o.ms(name, ms)
	}
}

func (o *objectWriter) boolean(name string, b bool) {
	o.name(name)
	o.dst = strconv.AppendBool(o.dst, b)
}

// object writes a member that is an object itself.
func (o *objectWriter) object(name string, fill func(*objectWriter)) {
	o.name(name)
	inner := openObject(o.dst)
	fill(inner)
	o.dst = inner.close()
}

// optTexts writes a map in the order of its names, and leaves an empty one out.
func (o *objectWriter) optTexts(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	o.object(name, func(o *objectWriter) {
		for _, key := range sortedNames(m) {
			o.text(key, m[key])
		}
	})
}
