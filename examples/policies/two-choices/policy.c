// two-choices: of two candidates taken at random, the one with less to do.
//
// Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (1996): nearly as even as asking everyone, at the
// price of asking two, and without the herd that many balancers with old knowledge make of the least loaded. Random here
// is a hash of the pick's number, so that a run can be repeated.
#include "bindings/balancing.h"
#include <stdlib.h>
#include <string.h>

static uint32_t *weights;
static uint32_t count;

void exports_lb_policy_setup_describe(exports_lb_policy_setup_description_t *description) {
    memset(description, 0, sizeof *description);
    balancing_string_dup(&description->name, "two-choices");
    balancing_string_dup(&description->version, "1.0.0");
    balancing_string_dup(&description->summary, "of two servers at random, the one with less to do");
}

bool exports_lb_policy_setup_configure(exports_lb_policy_setup_list_tuple2_string_value_t *settings,
                                       exports_lb_policy_setup_list_server_t *servers,
                                       exports_lb_policy_setup_refusal_t *refusal) {
    (void)refusal;
    exports_lb_policy_setup_list_tuple2_string_value_free(settings);
    exports_lb_policy_setup_list_server_free(servers);
    return true;
}

void exports_lb_policy_balancer_update(exports_lb_policy_balancer_list_candidate_t *candidates) {
    free(weights);
    count = candidates->len;
    weights = malloc(count * sizeof *weights);
    if (!weights) abort();
    for (uint32_t i = 0; i < count; i++) weights[i] = candidates->ptr[i].weight;
    exports_lb_policy_balancer_list_candidate_free(candidates);
}

// A bijection of 64 bits that leaves no pattern.
static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

// Whether candidate a has less to do than b, this request included, by their weights.
static bool less(uint32_t a, uint32_t b) {
    uint64_t load_a = (uint64_t)lb_policy_candidates_load(a) + 1;
    uint64_t load_b = (uint64_t)lb_policy_candidates_load(b) + 1;
    return load_a * weights[b] < load_b * weights[a];
}

bool exports_lb_policy_balancer_pick(exports_lb_policy_balancer_arrival_t *arrival, uint32_t *candidate) {
    if (count == 0) return false;
    uint64_t random = mixed(arrival->sequence + 1);
    uint32_t one = (uint32_t)random % count;
    if (count == 1) {
        *candidate = one;
        return true;
    }
    // Any but the first.
    uint32_t two = (one + 1 + (uint32_t)(random >> 32) % (count - 1)) % count;
    if (arrival->failed.is_some && arrival->failed.val == one) {
        *candidate = two;
    } else if (arrival->failed.is_some && arrival->failed.val == two) {
        *candidate = one;
    } else {
        *candidate = less(two, one) ? two : one;
    }
    return true;
}
