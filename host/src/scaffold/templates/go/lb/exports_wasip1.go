package lb

import "unsafe"

var policy Policy

// The last answers, which the host may still be reading.
var described, configured *page
var picked struct{ isSome, candidate uint32 }

// Export makes a policy the component's: call it in main's init.
func Export(p Policy) { policy = p }

//go:wasmexport lb:policy/setup@0.1.0#describe
func describe() unsafe.Pointer {
	described = writeDescription(policy.Describe())
	return described.at(0)
}

//go:wasmexport lb:policy/setup@0.1.0#configure
func configure(settings unsafe.Pointer, settingsLength uint32, servers unsafe.Pointer, serversLength uint32) unsafe.Pointer {
	configured = writeRefusal(policy.Configure(readSettings(settings, settingsLength), readServers(servers, serversLength)))
	release()
	return configured.at(0)
}

//go:wasmexport lb:policy/balancer@0.1.0#update
func update(candidates unsafe.Pointer, length uint32) {
	policy.Update(append([]Candidate(nil), unsafe.Slice((*Candidate)(candidates), length)...))
	release()
}

//go:wasmexport lb:policy/balancer@0.1.0#pick
func pick(sequence, timeMs uint64, family, a, b, c, d, e, f, g, h, isRetry, failed uint32) unsafe.Pointer {
	arrival := Arrival{Sequence: sequence, TimeMs: timeMs, Failed: -1}
	if isRetry != 0 {
		arrival.Failed = int64(failed)
	}
	var client [16]byte
	if family == 0 {
		client = [16]byte{byte(a), byte(b), byte(c), byte(d)}
		arrival.Client = client[:4]
	} else {
		for i, group := range [8]uint32{a, b, c, d, e, f, g, h} {
			client[2*i], client[2*i+1] = byte(group>>8), byte(group)
		}
		arrival.Client = client[:]
	}
	candidate, ok := policy.Pick(arrival)
	picked.isSome, picked.candidate = 0, candidate
	if ok {
		picked.isSome = 1
	}
	release()
	return unsafe.Pointer(&picked)
}
