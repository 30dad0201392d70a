package main

import (
	"fmt"
	"testing"

	"tenants/lb"
)

// A policy with two gold servers, 0 and 1, and three shared ones, all of them candidates; acme is pinned to gold.
func scene(t *testing.T) *policy {
	p := &policy{}
	var servers []lb.Server
	for i, pool := range []string{"gold", "gold", "shared", "shared", "shared"} {
		servers = append(servers, lb.Server{Name: fmt.Sprintf("s%d", i), Labels: map[string]string{"pool": pool}})
	}
	settings := map[string]lb.Value{"header": {Text: "x-tenant"}, "shared": {Text: "shared"}, "pins": {Texts: []string{"acme=gold"}}}
	if refusal := p.Configure(settings, servers); refusal != nil {
		t.Fatal(refusal)
	}
	p.candidates(0, 1, 2, 3, 4)
	return p
}

func (p *policy) candidates(servers ...uint32) {
	var candidates []lb.Candidate
	for _, server := range servers {
		candidates = append(candidates, lb.Candidate{Server: server, Weight: 1})
	}
	p.Update(candidates)
}

func (p *policy) pickFor(tenant string, failed int64) (uint32, bool) {
	p.ask = func(string) (string, bool) { return tenant, tenant != "" }
	return p.Pick(lb.Arrival{Failed: failed})
}

func TestATenantStaysInItsPool(t *testing.T) {
	p := scene(t)
	if picked, ok := p.pickFor("acme", -1); !ok || picked > 1 {
		t.Errorf("acme is on %d, %v", picked, ok)
	}
	shares := map[uint32]int{}
	for i := range 3000 {
		picked, _ := p.pickFor(fmt.Sprint("tenant-", i), -1)
		shares[picked]++
	}
	for server := uint32(2); server < 5; server++ {
		if shares[server] < 850 || shares[server] > 1150 {
			t.Errorf("shares are %v", shares)
		}
	}
}

func TestARetryGoesElsewhereInThePool(t *testing.T) {
	p := scene(t)
	first, _ := p.pickFor("acme", -1)
	if second, ok := p.pickFor("acme", int64(first)); !ok || second != 1-first {
		t.Errorf("%d, then %d, %v", first, second, ok)
	}
}

func TestOnlyTheTenantsOfAServerThatLeavesMove(t *testing.T) {
	p := scene(t)
	before := map[string]uint32{}
	for i := range 1000 {
		tenant := fmt.Sprint("tenant-", i)
		before[tenant], _ = p.pickFor(tenant, -1)
	}
	p.candidates(0, 1, 2, 3)
	for tenant, was := range before {
		if picked, _ := p.pickFor(tenant, -1); was != 4 && picked != was {
			t.Fatalf("%s moved from %d to %d", tenant, was, picked)
		}
	}
}

func TestAPoolWithoutServersFallsBackToTheSharedOne(t *testing.T) {
	p := scene(t)
	p.candidates(2, 3)
	if picked, ok := p.pickFor("acme", -1); !ok || picked > 1 {
		t.Errorf("acme is on candidate %d, %v", picked, ok)
	}
	if _, ok := p.pickFor("", -1); ok {
		t.Error("a request without a tenant is the next policy's")
	}
}

func TestRefusesPinsThatCannotBe(t *testing.T) {
	for _, pin := range []string{"acme", "=gold", "acme=silver"} {
		p := scene(t)
		settings := map[string]lb.Value{"pins": {Texts: []string{pin}}}
		refusal := p.Configure(settings, []lb.Server{{Name: "a", Labels: map[string]string{"pool": "gold"}}})
		if refusal == nil || refusal.Setting != "pins" {
			t.Errorf("%s: %v", pin, refusal)
		}
	}
}
