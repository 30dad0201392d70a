// Package lb is what lies between a policy and its host: the types of wit/, the functions to ask the host
// (Header, Loads, Log …, in host_wasip1.go), and the component's exports.
package lb

// Policy is what a policy does; each method is described in wit/.
type Policy interface {
	Describe() Description
	// Configure answers what is wrong with the settings, or nil.
	Configure(settings map[string]Value, servers []Server) *Refusal
	Update(candidates []Candidate)
	// Pick answers an index into the candidates, or false: then the next policy picks.
	Pick(arrival Arrival) (uint32, bool)
}

// Kind is a setting's type.
type Kind uint8

// The types that a setting may have; a duration is an integer, in milliseconds.
const (
	Text Kind = iota
	Integer
	Number
	Boolean
	Duration
	Texts
)

// Value is a setting's value: the field of its kind.
type Value struct {
	Text    string
	Integer int64
	Number  float64
	Boolean bool
	Texts   []string
}

// Setting is a setting that the policy takes.
type Setting struct {
	Name     string
	Kind     Kind
	Default  *Value
	Required bool
	Choices  []string
	Doc      string
}

// Description is what a policy says of itself.
type Description struct {
	Name, Version, Summary string
	Settings               []Setting
}

// Refusal says why Configure refused; Setting is empty where it is the whole that does not fit.
type Refusal struct {
	Setting, Message string
}

// Server is a server of the backend.
type Server struct {
	Name, Address string
	Weight        uint32
	// Cookie is empty where the server has none.
	Cookie string
	Labels map[string]string
}

// Candidate is a server that may be chosen now.
type Candidate struct {
	Server, Weight uint32
}

// Arrival is a request for which a candidate is to be picked.
type Arrival struct {
	Sequence, TimeMs uint64
	// Client is the client's address: 4 bytes or 16.
	Client []byte
	// Failed is the candidate that failed last, or -1.
	Failed int64
}

// Level is how much a line in the log matters.
type Level uint32

// From what only the author cares for to what keeps the policy from its work.
const (
	Debug Level = iota
	Info
	Warn
	Error
)
