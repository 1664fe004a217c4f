// Package echo is a backend that answers what it is told: for benchmarks, for
// probes, and for people who try things. It is also the smallest complete use of
// the kit.
//
// Its Connect takes any token: the token's text becomes the uid (1 to 64 bytes,
// longer ones are refused with 4502), the session's id when the token is empty.
// Anyone may be anyone, so it must not face the world.
//
// Commands and their replies, all with status 0 unless said otherwise:
//
//	echo.say    any payload      -> the same payload
//	echo.sleep  {"ms":N}         -> {"ms":N} after N milliseconds, 0 to 60000
//	echo.push   {"n":N,"size":S} -> {"n":N}, and before it N reliable pushes
//	                                echo.pushed to the caller, in order, each
//	                                {"i":I,"pad":"..."} with I from 0 and a pad of
//	                                S bytes; n 1 to 1000, size 0 to 49152
//	echo.fail   {"status":C}     -> status C (1 to 16), {"message":"as asked"}
//
// A payload that is not such an object, or out of bounds, is INVALID_ARGUMENT
// (3) with {"message":...}; any other command is UNIMPLEMENTED (12). A sleep that
// would outlast the packet's deadline ends with it: DEADLINE_EXCEEDED (4). A push
// that the gateway does not take makes echo.push UNAVAILABLE (14).
package echo
