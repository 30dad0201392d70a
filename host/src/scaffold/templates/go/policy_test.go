package main

import (
	"testing"

	"{{name}}/lb"
)

func TestTakesTheCandidatesInTurn(t *testing.T) {
	p := &policy{}
	if refusal := p.Configure(map[string]lb.Value{"first": {Integer: 1}}, nil); refusal != nil {
		t.Fatal(refusal)
	}
	p.Update([]lb.Candidate{{Server: 0, Weight: 1}, {Server: 1, Weight: 1}, {Server: 2, Weight: 1}})
	for sequence, expected := range []uint32{1, 2, 0, 1} {
		if picked, ok := p.Pick(lb.Arrival{Sequence: uint64(sequence)}); !ok || picked != expected {
			t.Errorf("turn %d: %d, %v", sequence, picked, ok)
		}
	}
}

func TestRefusesANegativeFirst(t *testing.T) {
	refusal := (&policy{}).Configure(map[string]lb.Value{"first": {Integer: -1}}, nil)
	if refusal == nil || refusal.Setting != "first" {
		t.Error(refusal)
	}
}
