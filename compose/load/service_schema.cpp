#include "compose/load/check.hpp"
#include "compose/load/schema_basics.hpp"
#include "compose/load/short_syntax.hpp"
#include "compose/model/nearest.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

// The members stand in the order in which `config` prints them, which is Docker Compose's.
namespace compose::schemas {

namespace {

template <std::size_t Size>
constexpr schema object(const member (&members)[Size]) {
    return {.is = form::object, .members = members};
}

constexpr schema list_of(const schema& element) {
    return {.is = form::list, .element = &element};
}

std::string none_of(const std::string& text, const std::vector<std::string_view>& allowed) {
    if (std::find(allowed.begin(), allowed.end(), text) != allowed.end())
        return {};
    return fmt::format(
        "\"{}\" is not one of {}{}", text, fmt::join(allowed, ", "), did_you_mean(text, allowed));
}

std::string not_negative(const std::string& value) {
    return value.starts_with('-') ? value + " is negative" : std::string();
}

// --- what several keys have in common

constexpr schema natural{.is = form::integer, .check = not_negative, .keeps_zero = true};

constexpr member ulimit_members[] = {{"soft", &count, true}, {"hard", &count, true}};
constexpr schema ulimit{.is = form::object, .members = ulimit_members, .or_scalar = &count};
constexpr schema ulimits{.is = form::map, .element = &ulimit};

constexpr schema permissions{.is = form::text, .write_out = long_form::permissions};
constexpr member reference_members[] = {
    {"source", &text, true}, {"target", &text}, {"uid", &text}, {"gid", &text}, {"mode", &permissions}};
constexpr schema reference = object(reference_members);
constexpr schema config_references{.is = form::list,
    .element = &reference,
    .expand = long_form::file_reference,
    .identity = long_form::by_config_target,
    .each_alone = true,
    .tells_twins = true};
constexpr schema references{.is = form::list,
    .element = &reference,
    .expand = long_form::file_reference,
    .identity = long_form::by_secret_target,
    .each_alone = true,
    .tells_twins = true};

// --- build

constexpr schema addresses{.is = form::map, .element = &value_text, .write_out = long_form::variables};
constexpr schema ssh{.is = form::map, .element = &maybe_text, .write_out = long_form::agents};
constexpr schema attestation{.is = form::loose_text, .no_numbers = true, .settled = true};
constexpr schema stages{.is = form::list,
    .element = &list_item,
    .write_out = long_form::one_as_list,
    .identity = long_form::by_value,
    .as_written = true,
    .lone_replaced = true};
constexpr member build_members[] = {{"context", &text}, {"dockerfile", &text}, {"dockerfile_inline", &text},
    {"entitlements", &set}, {"args", &variables}, {"provenance", &attestation}, {"sbom", &attestation},
    {"ssh", &ssh}, {"labels", &labels}, {"cache_from", &texts}, {"cache_to", &texts}, {"no_cache", &boolean},
    {"no_cache_filter", &stages}, {"additional_contexts", &addresses}, {"pull", &boolean},
    {"extra_hosts", &hosts}, {"isolation", &text}, {"network", &text}, {"target", &text},
    {"secrets", &references}, {"shm_size", &bytes}, {"tags", &named_set}, {"ulimits", &ulimits},
    {"platforms", &texts}, {"privileged", &boolean}};
constexpr schema build{.is = form::object, .members = build_members, .write_out = long_form::build};

// --- hooks and develop

constexpr member hook_members[] = {{"command", &words, true}, {"user", &text}, {"privileged", &boolean},
    {"working_dir", &text}, {"environment", &variables}};
constexpr schema hook = object(hook_members);
constexpr schema hooks = list_of(hook);
constexpr member preparation_members[] = {{"command", &words}, {"image", &text}, {"user", &text},
    {"privileged", &boolean}, {"working_dir", &text}, {"environment", &variables}, {"per_replica", &boolean}};
constexpr schema preparation = object(preparation_members);
constexpr schema preparations = list_of(preparation);

constexpr schema watch_action{
    .is = form::text, .check = [](const std::string& value) {
        return none_of(value, {"rebuild", "sync", "restart", "sync+restart", "sync+exec"});
    }};
constexpr member watch_members[] = {{"path", &text, true}, {"action", &watch_action, true}, {"target", &text},
    {"exec", &hook}, {"include", &one_or_texts}, {"ignore", &one_or_texts}, {"initial_sync", &boolean}};
constexpr schema watch = object(watch_members);
constexpr schema watches = list_of(watch);
constexpr member develop_members[] = {{"watch", &watches}};
constexpr schema develop{.is = form::object, .members = develop_members, .null_is_value = true};

// --- blkio_config

constexpr member weight_members[] = {{"path", &text}, {"weight", &integer}};
constexpr schema weight = object(weight_members);
constexpr schema weights = list_of(weight);
constexpr member rate_members[] = {{"path", &text}, {"rate", &bytes}};
constexpr schema rate = object(rate_members);
constexpr schema rates = list_of(rate);
constexpr member blkio_members[] = {{"weight", &integer}, {"weight_device", &weights},
    {"device_read_bps", &rates}, {"device_read_iops", &rates}, {"device_write_bps", &rates},
    {"device_write_iops", &rates}};
constexpr schema blkio = object(blkio_members);

// --- dependencies

constexpr schema condition{
    .is = form::text, .check = [](const std::string& value) {
        return none_of(value, {"service_started", "service_healthy", "service_completed_successfully"});
    }};
constexpr member dependency_members[] = {
    {"condition", &condition, true}, {"restart", &boolean}, {"required", &toggled}};
constexpr schema dependency = object(dependency_members);
constexpr schema dependencies{.is = form::map, .element = &dependency, .write_out = long_form::dependencies};

// --- deploy

constexpr schema replicas{.is = form::integer,
    .check =
        [](const std::string& value) {
            const bool fits = !value.starts_with('-') && value.size() <= 5;
            return std::string(fits ? "" : "must be between 0 and 10000");
        },
    .keeps_zero = true};

constexpr schema order{.is = form::text, .check = [](const std::string& value) {
                           return none_of(value, {"start-first", "stop-first"});
                       }};
constexpr member update_members[] = {{"parallelism", &natural}, {"delay", &pause}, {"failure_action", &text},
    {"monitor", &pause}, {"max_failure_ratio", &number}, {"order", &order}};
constexpr schema update = object(update_members);

constexpr schema device_count{.is = form::integer, .write_out = long_form::device_count};
constexpr schema needed_texts{.is = form::list, .element = &list_item, .keeps_zero = true};
constexpr member device_request_members[] = {{"capabilities", &needed_texts, true}, {"driver", &text},
    {"count", &device_count}, {"device_ids", &texts}, {"options", &labels}};
constexpr schema device_request{
    .is = form::object, .members = device_request_members, .write_out = long_form::device_request};
constexpr schema device_requests = list_of(device_request);
constexpr member gpu_members[] = {{"capabilities", &texts}, {"driver", &text}, {"count", &device_count},
    {"device_ids", &texts}, {"options", &labels}};
constexpr schema gpu{.is = form::object, .members = gpu_members, .write_out = long_form::device_request};
constexpr schema gpus{.is = form::list, .element = &gpu, .write_out = long_form::gpus};

constexpr member discrete_members[] = {{"kind", &text}, {"value", &integer}};
constexpr schema discrete = object(discrete_members);
constexpr member generic_members[] = {{"discrete_resource_spec", &discrete}};
constexpr schema generic = object(generic_members);
constexpr schema generics = list_of(generic);
constexpr member limit_members[] = {{"cpus", &number}, {"memory", &bytes}, {"pids", &integer}};
constexpr schema limit = object(limit_members);
constexpr member reservation_members[] = {
    {"cpus", &number}, {"memory", &bytes}, {"devices", &device_requests}, {"generic_resources", &generics}};
constexpr schema reservation = object(reservation_members);
constexpr member resources_members[] = {{"limits", &limit}, {"reservations", &reservation}};
constexpr schema resources = object(resources_members);

/// A word that nobody knows would restart for ever what was not to.
constexpr schema restart_condition{
    .is = form::text, .check = [](const std::string& value) {
        return value.empty()
                   ? std::string()
                   : none_of(value, {"none", "on-failure", "any", "no", "always", "unless-stopped"});
    }};
constexpr member restart_policy_members[] = {{"condition", &restart_condition}, {"delay", &duration},
    {"max_attempts", &natural}, {"window", &duration}};
constexpr schema restart_policy = object(restart_policy_members);
constexpr member preference_members[] = {{"spread", &text}};
constexpr schema preference = object(preference_members);
constexpr schema preferences = list_of(preference);
constexpr member placement_members[] = {
    {"constraints", &texts}, {"preferences", &preferences}, {"max_replicas_per_node", &integer}};
constexpr schema placement = object(placement_members);
constexpr member deploy_members[] = {{"mode", &text}, {"replicas", &replicas}, {"labels", &labels},
    {"update_config", &update}, {"rollback_config", &update}, {"resources", &resources, false, true},
    {"restart_policy", &restart_policy}, {"placement", &placement, false, true}, {"endpoint_mode", &text}};
constexpr schema deploy{.is = form::object, .members = deploy_members, .null_is_value = true};

// --- the small ones

constexpr member credential_members[] = {{"config", &text}, {"file", &text}, {"registry", &text}};
constexpr schema credential = object(credential_members);

constexpr member device_members[] = {{"source", &text, true}, {"target", &text}, {"permissions", &text}};
constexpr schema device = object(device_members);
constexpr schema devices{.is = form::list,
    .element = &device,
    .expand = long_form::device,
    .identity = long_form::by_target,
    .each_alone = true};

constexpr schema env_file_format{
    .is = form::text, .check = [](const std::string& value) { return none_of(value, {"raw"}); }};
constexpr member env_file_members[] = {
    {"path", &text, true}, {"required", &toggled}, {"format", &env_file_format}};
constexpr schema env_file = object(env_file_members);
constexpr schema env_files{.is = form::list,
    .element = &env_file,
    .write_out = long_form::env_files,
    .identity = long_form::by_path,
    .each_alone = true};

constexpr member extends_members[] = {{"service", &text, true}, {"file", &text}};
constexpr schema extends{
    .is = form::object, .members = extends_members, .write_out = long_form::extended, .replaces = true};

constexpr schema health_test{.is = form::list,
    .element = &list_item,
    .write_out = long_form::health_test,
    .replaces = true,
    .as_written = true};
constexpr schema retries{.is = form::integer,
    .check =
        [](const std::string& value) {
            const bool fits = !value.starts_with('-');
            return fits ? std::string() : value + " is no number of failures";
        },
    .keeps_zero = true};
constexpr member health_members[] = {{"test", &health_test}, {"timeout", &duration}, {"interval", &duration},
    {"retries", &retries}, {"start_period", &duration}, {"start_interval", &duration}, {"disable", &boolean}};
constexpr schema healthcheck = object(health_members);

constexpr schema log_option{.is = form::loose_text,
    .null_is_value = true,
    .null_yields = true,
    .no_booleans = true,
    .keeps_zero = true};
constexpr schema log_options{.is = form::map, .element = &log_option};
constexpr member logging_members[] = {{"driver", &text}, {"options", &log_options}};
// Options of another driver mean nothing to this one.
constexpr schema logging{
    .is = form::object, .members = logging_members, .unlike = [](const node& before, const node& after) {
        const node* driver = before.find("driver");
        const node* later = after.find("driver");
        return driver != nullptr && later != nullptr && driver->text != later->text;
    }};

constexpr member endpoint_members[] = {{"aliases", &named_set}, {"driver_opts", &options},
    {"gw_priority", &integer}, {"interface_name", &text}, {"ipv4_address", &text}, {"ipv6_address", &text},
    {"link_local_ips", &named_set}, {"mac_address", &text}, {"priority", &integer}};
constexpr schema endpoint{.is = form::object, .members = endpoint_members, .null_is_value = true};
constexpr schema endpoints{.is = form::map, .element = &endpoint, .write_out = long_form::names};

constexpr member model_members[] = {{"endpoint_var", &text}, {"model_var", &text}};
constexpr schema model{.is = form::object, .members = model_members, .null_is_value = true};
constexpr schema models{.is = form::map, .element = &model, .write_out = long_form::names};

// A list also where variables stay, unlike its kin.
constexpr schema servers{
    .is = form::list, .element = &list_item, .write_out = long_form::servers, .identity = long_form::by_name};

constexpr schema exposed{
    .is = form::loose_text, .no_booleans = true, .no_fractions = true, .keeps_zero = true};
constexpr schema expose{.is = form::list, .element = &exposed, .identity = long_form::by_value};

constexpr schema port_number{.is = form::integer, .check = [](const std::string& value) {
                                 const bool fits = value.size() < 6 && value[0] != '-' && value[0] != '0' &&
                                                   std::stoi(value) <= 65535;
                                 return fits ? std::string() : value + " is no port";
                             }};
constexpr schema address{.is = form::text, .check = [](const std::string& value) {
                             return value.empty() || is_address(value)
                                        ? std::string()
                                        : fmt::format("\"{}\" is no IP address", value);
                         }};
constexpr schema published{.is = form::loose_text, .no_booleans = true, .no_fractions = true};
constexpr member port_members[] = {{"name", &text}, {"mode", &text}, {"host_ip", &address},
    {"target", &port_number, true}, {"published", &published}, {"protocol", &text}, {"app_protocol", &text}};
constexpr schema port = object(port_members);
constexpr schema ports{
    .is = form::list, .element = &port, .expand = long_form::port, .identity = long_form::by_port};

constexpr schema provider_option{.is = form::list,
    .element = &loose_item,
    .write_out = long_form::one_as_list,
    .as_written = true,
    .lone_replaced = true};
constexpr schema provider_options{.is = form::map, .element = &provider_option};
constexpr member provider_members[] = {{"type", &text, true}, {"options", &provider_options}};
constexpr schema provider = object(provider_members);

constexpr schema mount_type{
    .is = form::text, .check = [](const std::string& value) {
        return none_of(value, {"bind", "volume", "tmpfs", "image", "cluster", "npipe"});
    }};
constexpr schema recursive{.is = form::text, .check = [](const std::string& value) {
                               return none_of(value, {"enabled", "disabled", "writable", "readonly"});
                           }};
constexpr schema selinux{.is = form::text, .check = [](const std::string& value) {
                             return none_of(value, {"z", "Z"});
                         }};
constexpr member bind_members[] = {
    {"selinux", &selinux}, {"propagation", &text}, {"create_host_path", &toggled}, {"recursive", &recursive}};
constexpr schema bind = object(bind_members);
constexpr member volume_options_members[] = {{"labels", &labels}, {"nocopy", &boolean}, {"subpath", &text}};
constexpr schema volume_options = object(volume_options_members);
constexpr schema tmpfs_mode{.is = form::integer, .check = [](const std::string& value) {
                                const bool fits = !value.starts_with('-') && value.size() <= 10 &&
                                                  std::stoull(value) <= UINT32_MAX;
                                return fits ? std::string() : value + " is no file mode, like 01777";
                            }};
constexpr schema tmpfs_size{.is = form::bytes, .check = not_negative};
constexpr member tmpfs_members[] = {{"size", &tmpfs_size}, {"mode", &tmpfs_mode}};
constexpr schema tmpfs = object(tmpfs_members);
constexpr member image_options_members[] = {{"subpath", &text}};
constexpr schema image_options = object(image_options_members);
constexpr member mount_members[] = {{"type", &mount_type, true}, {"source", &text}, {"target", &text, true},
    {"read_only", &boolean}, {"consistency", &text}, {"bind", &bind}, {"volume", &volume_options},
    {"tmpfs", &tmpfs}, {"image", &image_options}};
constexpr schema mount = object(mount_members);
constexpr schema mounts{.is = form::list,
    .element = &mount,
    .expand = long_form::mount,
    .remarks = long_form::mount_remarks,
    .identity = long_form::by_target,
    .each_alone = true,
    .tells_twins = true};

constexpr schema restart{.is = form::text, .check = [](const std::string& value) {
                             try {
                                 parse_restart(value);
                                 return std::string();
                             } catch (const error& failure) {
                                 return std::string(failure.what());
                             }
                         }};

// As the specification's pattern, which is not anchored: two characters in a row that a name may have.
constexpr schema container_name{
    .is = form::text, .check = [](const std::string& value) {
        const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
        for (std::size_t at = 0; at + 1 < value.size(); ++at)
            if (letter(value[at]) && (letter(value[at + 1]) || std::string_view("_.-").find(value[at + 1]) !=
                                                                   std::string_view::npos))
                return std::string();
        return fmt::format("\"{}\" is no name for a container; it has two or more letters, "
                           "digits, _ . -, a letter or digit first",
            value);
    }};

constexpr schema oom_score{.is = form::integer, .check = [](const std::string& value) {
                               const bool fits = value.size() < 6 && std::abs(std::stoi(value)) <= 1000;
                               return fits ? std::string() : value + " is not between -1000 and 1000";
                           }};
constexpr schema cgroup{.is = form::text, .check = [](const std::string& value) {
                            return none_of(value, {"host", "private"});
                        }};
constexpr schema pull_policy{
    .is = form::text, .check = [](const std::string& value) {
        constexpr std::string_view every = "every_";
        const bool repeated = value.starts_with(every) &&
                              value.find_first_not_of("0123456789wdhms", every.size()) == std::string::npos &&
                              parse_duration(value.substr(every.size()));
        return repeated ? std::string()
                        : none_of(value, {"always", "never", "missing", "if_not_present", "build", "refresh",
                                             "daily", "weekly", "every_DURATION"});
    }};

constexpr schema cpu_percent{.is = form::integer, .check = [](const std::string& value) {
                                 const double meant = std::strtod(value.c_str(), nullptr);
                                 const bool fits = meant >= 0 && meant <= 100;
                                 return fits ? std::string() : value + " is not between 0 and 100";
                             }};
constexpr schema cpu_count{.is = form::integer, .check = not_negative};
constexpr schema pull_refresh_after{.is = form::text, .unprinted = true};
// Unlike other options they may have no value, which is an empty one.
constexpr schema storage_option{.is = form::loose_text,
    .null_is_value = true,
    .null_yields = true,
    .no_booleans = true,
    .keeps_zero = true};
constexpr schema storage_options{.is = form::map, .element = &storage_option};

constexpr member service_members[] = {{"profiles", &named_set}, {"annotations", &labels},
    {"attach", &toggled}, {"build", &build}, {"develop", &develop}, {"blkio_config", &blkio},
    {"cap_add", &named_set}, {"cap_drop", &named_set}, {"cgroup_parent", &text}, {"cgroup", &cgroup},
    {"cpu_count", &cpu_count}, {"cpu_percent", &cpu_percent}, {"cpu_period", &integer},
    {"cpu_quota", &integer}, {"cpu_rt_period", &integer}, {"cpu_rt_runtime", &integer}, {"cpus", &number},
    {"cpuset", &text}, {"cpu_shares", &integer}, {"command", &words}, {"configs", &config_references},
    {"container_name", &container_name}, {"credential_spec", &credential}, {"depends_on", &dependencies},
    {"deploy", &deploy}, {"device_cgroup_rules", &set}, {"devices", &devices}, {"dns", &servers},
    {"dns_opt", &named_set}, {"dns_search", &one_or_set}, {"domainname", &text}, {"entrypoint", &words},
    {"provider", &provider}, {"environment", &variables}, {"env_file", &env_files}, {"expose", &expose},
    {"extends", &extends}, {"external_links", &set}, {"extra_hosts", &hosts}, {"group_add", &loose_set},
    {"gpus", &gpus}, {"hostname", &text}, {"healthcheck", &healthcheck}, {"image", &text}, {"init", &toggled},
    {"ipc", &text}, {"isolation", &text}, {"labels", &labels}, {"label_file", &one_or_texts},
    {"links", &named_set}, {"logging", &logging}, {"mem_limit", &bytes}, {"mem_reservation", &bytes},
    {"memswap_limit", &bytes}, {"mem_swappiness", &bytes}, {"mac_address", &text}, {"models", &models},
    {"networks", &endpoints}, {"network_mode", &text}, {"oom_kill_disable", &boolean},
    {"oom_score_adj", &oom_score}, {"pid", &text}, {"pids_limit", &integer}, {"platform", &text},
    {"ports", &ports}, {"privileged", &boolean}, {"pull_policy", &pull_policy},
    {"pull_refresh_after", &pull_refresh_after}, {"read_only", &boolean}, {"restart", &restart},
    {"runtime", &text}, {"scale", &replicas}, {"secrets", &references}, {"security_opt", &set},
    {"shm_size", &bytes}, {"stdin_open", &boolean}, {"stop_grace_period", &duration}, {"stop_signal", &text},
    {"storage_opt", &storage_options}, {"sysctls", &labels}, {"tmpfs", &one_or_set}, {"tty", &boolean},
    {"ulimits", &ulimits}, {"use_api_socket", &boolean}, {"user", &text}, {"userns_mode", &text},
    {"uts", &text}, {"volumes", &mounts}, {"volumes_from", &set}, {"working_dir", &text},
    {"pre_start", &preparations}, {"post_start", &hooks}, {"pre_stop", &hooks}};

} // namespace

constinit const schema service{.is = form::object, .members = service_members};

} // namespace compose::schemas
