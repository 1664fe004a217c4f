package transport

import (
	"reflect"
	"sync"
	"unsafe"

	"github.com/cloudwego/netpoll"
)

// netpoll gives every connection the vectors of a writev for as long as it lives:
// 1.4 KB, a quarter of all that a session costs. Our connections write with
// write(2) and never through netpoll, so they give those vectors back to
// netpoll's pool as they begin, and take some again as they end, because netpoll
// will then put them into the pool once more.
//
// This reaches into netpoll v0.7. Where a later version looks different nothing
// is done, and TestVectorsAreGivenBack fails.

//go:linkname vectorsPool github.com/cloudwego/netpoll.barrierPool
var vectorsPool sync.Pool

// vectorsField is the index of the vectors' field in a netpoll connection, -1
// when there is none of that kind. All connections are of one type.
var vectorsField struct {
	sync.Once
	index int
}

// vectorsOf is where nc keeps its vectors, invalid when that is not known.
func vectorsOf(nc netpoll.Connection) reflect.Value {
	v := reflect.ValueOf(nc)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	v = v.Elem()
	vectorsField.Do(func() {
		vectorsField.index = -1
		f, ok := v.Type().FieldByName("outputBarrier")
		if ok && len(f.Index) == 1 && vectorsPool.New != nil && reflect.TypeOf(vectorsPool.New()) == f.Type {
			vectorsField.index = f.Index[0]
		}
	})
	if vectorsField.index < 0 {
		return reflect.Value{}
	}
	f := v.Field(vectorsField.index)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem() // the field itself may not be set
}

// giveVectors is called before nc is used. Nothing may be written through nc
// from then on.
func giveVectors(nc netpoll.Connection) {
	if v := vectorsOf(nc); v.IsValid() && !v.IsNil() {
		vectorsPool.Put(v.Interface())
		v.SetZero()
	}
}

// takeVectors is called before netpoll gives up nc's memory.
func takeVectors(nc netpoll.Connection) {
	if v := vectorsOf(nc); v.IsValid() && v.IsNil() {
		v.Set(reflect.ValueOf(vectorsPool.Get()))
	}
}
