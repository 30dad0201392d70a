// tenants: each tenant on the servers of its pool, and there always on the same one.
//
// A header names the tenant, the setting "pins" gives tenants pools ("acme=gold"), and a server's label "pool" says which
// it belongs to. Tenants without a pin share the pool of the setting "shared". Within a pool, rendezvous hashing (Thaler
// and Ravishankar, 1998): where a server leaves, only its own tenants move.
package main

import (
	"hash/fnv"
	"strings"

	"tenants/lb"
)

type policy struct {
	header string
	shared string
	// The pool of each tenant that has one.
	pins map[string]string
	// The names and the pools of all servers.
	names, poolOf []string
	// The candidates of each pool, by index.
	pools map[string][]member

	// To ask for the request's header; a test has its own.
	ask func(name string) (string, bool)
}

type member struct {
	index uint32
	name  string
}

func (p *policy) Describe() lb.Description {
	text := func(name, value, doc string) lb.Setting {
		return lb.Setting{Name: name, Kind: lb.Text, Default: &lb.Value{Text: value}, Doc: doc}
	}
	return lb.Description{
		Name:    "tenants",
		Version: "1.0.0",
		Summary: "each tenant on the servers of its pool",
		Settings: []lb.Setting{
			text("header", "x-tenant", "The header that names the tenant. Requests without it are passed on."),
			text("shared", "shared", "The pool of tenants without a pin, and of pools without a server."),
			{
				Name: "pins",
				Kind: lb.Texts,
				Doc:  "Tenants and their pools, as in \"acme=gold\".",
				// An empty list: nobody is pinned.
				Default: &lb.Value{},
			},
		},
	}
}

func (p *policy) Configure(settings map[string]lb.Value, servers []lb.Server) *lb.Refusal {
	pools := map[string]bool{}
	p.names, p.poolOf = nil, nil
	for _, server := range servers {
		p.names = append(p.names, server.Name)
		p.poolOf = append(p.poolOf, server.Labels["pool"])
		pools[server.Labels["pool"]] = true
	}
	p.pins = map[string]string{}
	for _, pin := range settings["pins"].Texts {
		tenant, pool, ok := strings.Cut(pin, "=")
		if !ok || tenant == "" {
			return &lb.Refusal{Setting: "pins", Message: "expected TENANT=POOL, not `" + pin + "`"}
		}
		if !pools[pool] {
			return &lb.Refusal{Setting: "pins", Message: "no server has the label pool = \"" + pool + "\""}
		}
		p.pins[tenant] = pool
	}
	p.header, p.shared = settings["header"].Text, settings["shared"].Text
	return nil
}

func (p *policy) Update(candidates []lb.Candidate) {
	p.pools = map[string][]member{}
	for index, candidate := range candidates {
		pool := p.poolOf[candidate.Server]
		p.pools[pool] = append(p.pools[pool], member{uint32(index), p.names[candidate.Server]})
	}
}

func (p *policy) Pick(arrival lb.Arrival) (uint32, bool) {
	tenant, ok := p.ask(p.header)
	if !ok {
		return 0, false
	}
	pool, pinned := p.pins[tenant]
	members := p.pools[pool]
	if !pinned || len(members) == 0 {
		members = p.pools[p.shared]
	}
	best, found := uint64(0), false
	var picked uint32
	for _, member := range members {
		failed := arrival.Failed == int64(member.index) && len(members) > 1
		if weight := score(tenant, member.name); !failed && (!found || weight > best) {
			picked, best, found = member.index, weight, true
		}
	}
	return picked, found
}

// How much a tenant would like to be on a server. What comes last into FNV hardly reaches its high bits: so it is stirred.
func score(tenant, server string) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(server))
	hash.Write([]byte{0})
	hash.Write([]byte(tenant))
	sum := hash.Sum64()
	sum = (sum ^ sum>>32) * 0xd6e8feb86659fd93
	return sum ^ sum>>32
}

// Never called in a component: the host calls the exports.
func main() {}
