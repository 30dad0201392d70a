// Runs the policy natively: make test
#undef NDEBUG
#include "bindings/balancing.h"
#include <assert.h>
#include <stdio.h>
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

static bool configure(int64_t first, exports_lb_policy_setup_refusal_t *refusal) {
    exports_lb_policy_setup_tuple2_string_value_t setting = {0};
    setting.f1.tag = EXPORTS_LB_POLICY_SETUP_VALUE_INTEGER;
    setting.f1.val.integer = first;
    exports_lb_policy_setup_list_tuple2_string_value_t settings = {&setting, 1};
    exports_lb_policy_setup_list_server_t servers = {0};
    return exports_lb_policy_setup_configure(&settings, &servers, refusal);
}

static uint32_t pick(uint64_t sequence) {
    exports_lb_policy_balancer_arrival_t arrival = {.sequence = sequence};
    uint32_t candidate;
    assert(exports_lb_policy_balancer_pick(&arrival, &candidate));
    return candidate;
}

int main(void) {
    exports_lb_policy_setup_refusal_t refusal;
    exports_lb_policy_balancer_candidate_t three[] = {{0, 1}, {1, 1}, {2, 1}};
    exports_lb_policy_balancer_list_candidate_t candidates = {three, 3};

    assert(configure(1, &refusal));
    exports_lb_policy_balancer_update(&candidates);
    assert(pick(0) == 1 && pick(1) == 2 && pick(2) == 0 && pick(3) == 1);

    assert(!configure(-1, &refusal));
    assert(refusal.setting.is_some && refusal.setting.val.len == 5);
    puts("takes the candidates in turn, refuses a negative first: fine");
}
