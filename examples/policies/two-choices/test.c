// Runs the policy natively: make test
#undef NDEBUG
#include "bindings/balancing.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the policy uses of the bindings, which are for WebAssembly only.
void balancing_string_dup(balancing_string_t *ret, const char *s) {
    ret->ptr = (uint8_t *)strdup(s);
    ret->len = strlen(s);
}
void exports_lb_policy_setup_list_tuple2_string_value_free(exports_lb_policy_setup_list_tuple2_string_value_t *list) {
    (void)list;
}
void exports_lb_policy_setup_list_server_free(exports_lb_policy_setup_list_server_t *list) { (void)list; }
void exports_lb_policy_balancer_list_candidate_free(exports_lb_policy_balancer_list_candidate_t *list) { (void)list; }

static uint32_t loads[4];
uint32_t lb_policy_candidates_load(uint32_t candidate) { return loads[candidate]; }

static void update(uint32_t count, const uint32_t *weights) {
    exports_lb_policy_balancer_candidate_t all[4];
    for (uint32_t i = 0; i < count; i++) all[i] = (exports_lb_policy_balancer_candidate_t){i, weights[i]};
    exports_lb_policy_balancer_list_candidate_t candidates = {all, count};
    exports_lb_policy_balancer_update(&candidates);
}

static uint32_t pick(uint64_t sequence, int failed) {
    exports_lb_policy_balancer_arrival_t arrival = {.sequence = sequence};
    arrival.failed.is_some = failed >= 0;
    arrival.failed.val = failed >= 0 ? (uint32_t)failed : 0;
    uint32_t candidate;
    assert(exports_lb_policy_balancer_pick(&arrival, &candidate));
    return candidate;
}

// How often each is picked in 12,000 turns.
static void shares(uint32_t *picked) {
    memset(picked, 0, 4 * sizeof *picked);
    for (uint64_t sequence = 0; sequence < 12000; sequence++) picked[pick(sequence, -1)]++;
}

int main(void) {
    uint32_t picked[4], equal[4] = {1, 1, 1, 1};

    update(4, equal);
    shares(picked);
    for (int i = 0; i < 4; i++) assert(picked[i] > 2700 && picked[i] < 3300);

    // The busiest of four is picked by no pair; the idlest by every pair that it is in, which is half of them.
    memcpy(loads, (uint32_t[]){9, 3, 3, 0}, sizeof loads);
    shares(picked);
    assert(picked[0] == 0 && picked[3] > 5700 && picked[3] < 6300);

    // Twice the weight carries twice the load.
    memcpy(loads, (uint32_t[]){4, 3, 0, 0}, sizeof loads);
    update(2, (uint32_t[]){2, 1});
    assert(pick(0, -1) == 0 && pick(1, -1) == 0);

    // A retry goes elsewhere, if there is an elsewhere.
    for (uint64_t sequence = 0; sequence < 100; sequence++) assert(pick(sequence, 0) == 1);
    update(1, equal);
    assert(pick(0, 0) == 0);
    puts("even when idle, away from the busy, by weight, elsewhere on a retry: fine");
}
