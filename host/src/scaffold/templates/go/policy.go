// {{name}}: each candidate in its turn, beginning with the one that the setting "first" says.
package main

import "{{name}}/lb"

type policy struct {
	first, count uint64
}

func (p *policy) Describe() lb.Description {
	return lb.Description{
		Name:    "{{name}}",
		Version: "0.1.0",
		Summary: "each server in its turn",
		Settings: []lb.Setting{{
			Name:    "first",
			Kind:    lb.Integer,
			Default: &lb.Value{Integer: 0},
			Doc:     "Which server is the first to be picked, counted from 0.",
		}},
	}
}

func (p *policy) Configure(settings map[string]lb.Value, servers []lb.Server) *lb.Refusal {
	first := settings["first"].Integer
	if first < 0 {
		return &lb.Refusal{Setting: "first", Message: "must be 0 or more"}
	}
	p.first = uint64(first)
	return nil
}

func (p *policy) Update(candidates []lb.Candidate) { p.count = uint64(len(candidates)) }

func (p *policy) Pick(arrival lb.Arrival) (uint32, bool) {
	if p.count == 0 {
		return 0, false
	}
	return uint32((arrival.Sequence + p.first) % p.count), true
}

// Never called in a component: the host calls the exports.
func main() {}
