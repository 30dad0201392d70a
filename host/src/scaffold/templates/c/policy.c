// {{name}}: each candidate in its turn, beginning with the one that the setting `first` says.
#include "bindings/balancing.h"
#include <stdlib.h>
#include <string.h>

static uint32_t first;
static uint32_t count;

void exports_lb_policy_setup_describe(exports_lb_policy_setup_description_t *description) {
    static exports_lb_policy_setup_setting_t setting;
    memset(&setting, 0, sizeof setting);
    balancing_string_dup(&setting.name, "first");
    setting.kind = EXPORTS_LB_POLICY_SETUP_KIND_INTEGER;
    setting.default_.is_some = true;
    setting.default_.val.tag = EXPORTS_LB_POLICY_SETUP_VALUE_INTEGER;
    setting.default_.val.val.integer = 0;
    balancing_string_dup(&setting.doc, "Which server is the first to be picked, counted from 0.");

    // The host reads the answer; then the bindings free what they can, so strings and lists are copies.
    memset(description, 0, sizeof *description);
    balancing_string_dup(&description->name, "{{name}}");
    balancing_string_dup(&description->version, "0.1.0");
    balancing_string_dup(&description->summary, "each server in its turn");
    description->settings.len = 1;
    description->settings.ptr = malloc(sizeof setting);
    memcpy(description->settings.ptr, &setting, sizeof setting);
}

// Answers whether the settings are fine; if not, `refusal` says which is wrong.
bool exports_lb_policy_setup_configure(exports_lb_policy_setup_list_tuple2_string_value_t *settings,
                                       exports_lb_policy_setup_list_server_t *servers,
                                       exports_lb_policy_setup_refusal_t *refusal) {
    // There is one setting, and the host has checked that it is an integer.
    int64_t value = settings->len ? settings->ptr[0].f1.val.integer : 0;
    bool fits = value >= 0 && value <= INT32_MAX;
    if (fits) {
        first = (uint32_t)value;
    } else {
        memset(refusal, 0, sizeof *refusal);
        refusal->setting.is_some = true;
        balancing_string_dup(&refusal->setting.val, "first");
        balancing_string_dup(&refusal->message, "must be 0 or more, and a sensible number");
    }
    exports_lb_policy_setup_list_tuple2_string_value_free(settings);
    exports_lb_policy_setup_list_server_free(servers);
    return fits;
}

void exports_lb_policy_balancer_update(exports_lb_policy_balancer_list_candidate_t *candidates) {
    count = candidates->len;
    exports_lb_policy_balancer_list_candidate_free(candidates);
}

// Answers whether it has picked; if not, the next policy or the host does.
bool exports_lb_policy_balancer_pick(exports_lb_policy_balancer_arrival_t *arrival, uint32_t *candidate) {
    if (count == 0) return false;
    *candidate = (arrival->sequence + first) % count;
    return true;
}
