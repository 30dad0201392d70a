package lb

import "unsafe"

//go:wasmimport lb:policy/request@0.1.0 method
func requestMethod(answer unsafe.Pointer)

//go:wasmimport lb:policy/request@0.1.0 path
func requestPath(answer unsafe.Pointer)

//go:wasmimport lb:policy/request@0.1.0 query
func requestQuery(answer unsafe.Pointer)

//go:wasmimport lb:policy/request@0.1.0 authority
func requestAuthority(answer unsafe.Pointer)

//go:wasmimport lb:policy/request@0.1.0 header
func requestHeader(name unsafe.Pointer, length uint32, answer unsafe.Pointer)

//go:wasmimport lb:policy/request@0.1.0 cookie
func requestCookie(name unsafe.Pointer, length uint32, answer unsafe.Pointer)

//go:wasmimport lb:policy/candidates@0.1.0 load
func candidatesLoad(candidate uint32) uint32

//go:wasmimport lb:policy/candidates@0.1.0 loads
func candidatesLoads(answer unsafe.Pointer)

//go:wasmimport lb:policy/log@0.1.0 write
func logWrite(level uint32, message unsafe.Pointer, length uint32)

// Where the host puts an answer of more than one number.
var answer [4]uint32

func hostText(ask func(unsafe.Pointer)) string {
	ask(unsafe.Pointer(&answer))
	return readText(unsafe.Pointer(&answer))
}

func hostOption(ask func(unsafe.Pointer)) (string, bool) {
	ask(unsafe.Pointer(&answer))
	return readOption(unsafe.Pointer(&answer))
}

// Method is the request's. Like all that is asked about the request: during Pick.
func Method() string { return hostText(requestMethod) }

// Path is the request's path as sent, without the query.
func Path() string { return hostText(requestPath) }

// Authority is the request's authority or Host.
func Authority() string { return hostText(requestAuthority) }

// Query is the request's query, where it has one.
func Query() (string, bool) { return hostOption(requestQuery) }

// Header is the value of the first header of this name, where there is one.
func Header(name string) (string, bool) {
	requestHeader(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), unsafe.Pointer(&answer))
	return readOption(unsafe.Pointer(&answer))
}

// Cookie is the value of the first cookie of this name, where there is one.
func Cookie(name string) (string, bool) {
	requestCookie(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), unsafe.Pointer(&answer))
	return readOption(unsafe.Pointer(&answer))
}

// Load is a candidate's number of requests in flight.
func Load(candidate uint32) uint32 { return candidatesLoad(candidate) }

// Loads are those of all candidates.
func Loads() []uint32 {
	candidatesLoads(unsafe.Pointer(&answer))
	at, length := readList(unsafe.Pointer(&answer))
	return append([]uint32(nil), unsafe.Slice((*uint32)(at), length)...)
}

// Log writes a line to the host's log.
func Log(level Level, message string) {
	logWrite(uint32(level), unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}
