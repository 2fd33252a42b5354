#include "compose/load/schema_basics.hpp"

// The members stand in the order in which `config` prints them, which is Docker Compose's.
namespace compose {

namespace schemas {

namespace {

template <std::size_t Size>
constexpr schema object(const member (&members)[Size]) {
    return {.is = form::object, .members = members};
}

constexpr member pool_members[] = {
    {"subnet", &text}, {"gateway", &text}, {"ip_range", &text}, {"aux_addresses", &options}};
constexpr schema pool = object(pool_members);
constexpr schema pools{
    .is = form::list, .element = &pool, .identity = long_form::by_subnet, .merges_items = true};
constexpr schema strict_options{.is = form::map, .element = &list_item};
constexpr member ipam_members[] = {{"driver", &text}, {"config", &pools}, {"options", &strict_options}};
constexpr schema ipam = object(ipam_members);
constexpr member network_members[] = {{"name", &text}, {"driver", &text}, {"driver_opts", &options},
    {"ipam", &ipam, false, true}, {"external", &boolean}, {"internal", &boolean}, {"attachable", &boolean},
    {"labels", &labels}, {"enable_ipv4", &toggled}, {"enable_ipv6", &toggled}};
constexpr schema network{.is = form::object,
    .members = network_members,
    .write_out = long_form::external,
    .remarks = long_form::external_remarks,
    .null_is_value = true};

constexpr member volume_members[] = {{"name", &text}, {"driver", &text}, {"driver_opts", &options},
    {"external", &boolean}, {"labels", &labels}};
constexpr schema volume{.is = form::object,
    .members = volume_members,
    .write_out = long_form::external,
    .remarks = long_form::external_remarks,
    .null_is_value = true};

constexpr schema config_content{.is = form::text, .keeps_zero = true};
constexpr member secret_members[] = {{"name", &text}, {"file", &text}, {"environment", &text},
    {"external", &boolean}, {"labels", &plain_labels}, {"driver", &text}, {"driver_opts", &options},
    {"template_driver", &text}};
constexpr schema secret{.is = form::object,
    .members = secret_members,
    .write_out = long_form::external,
    .remarks = long_form::external_remarks};
constexpr member config_members[] = {{"name", &text}, {"file", &text}, {"environment", &text},
    {"content", &config_content}, {"external", &boolean}, {"labels", &plain_labels},
    {"template_driver", &text}};
constexpr schema config{.is = form::object,
    .members = config_members,
    .write_out = long_form::external,
    .remarks = long_form::external_remarks};

constexpr schema integer_text{.is = form::integer};
constexpr member model_members[] = {
    {"name", &text}, {"model", &text, true}, {"context_size", &integer_text}, {"runtime_flags", &texts}};
constexpr schema model = object(model_members);

constexpr member include_members[] = {
    {"path", &one_or_texts}, {"project_directory", &text}, {"env_file", &one_or_texts}};
constexpr schema include = object(include_members);
constexpr schema includes{.is = form::list, .element = &include, .write_out = long_form::include};

constexpr schema services{.is = form::map, .element = &service};
constexpr schema networks{.is = form::map, .element = &network};
constexpr schema volumes{.is = form::map, .element = &volume};
constexpr schema secrets{.is = form::map, .element = &secret};
constexpr schema configs{.is = form::map, .element = &config};
constexpr schema models{.is = form::map, .element = &model};

constexpr member project_members[] = {{"version", &text}, {"name", &text}, {"include", &includes},
    {"services", &services, false, true}, {"networks", &networks}, {"volumes", &volumes},
    {"secrets", &secrets}, {"configs", &configs}, {"models", &models}};

} // namespace

} // namespace schemas

constinit const schema project_schema{.is = form::object, .members = schemas::project_members};

} // namespace compose
