#pragma once

#include "compose/load/node.hpp"

#include <string>
#include <vector>

/// How the short forms of Compose values become long ones: the hooks of the tables in *_schema.cpp. All throw
/// error{invalid} for a form that is none.
namespace compose::long_form {

// Whole values.
void words(node& value);          // "a 'b c'" -> [a, b c]
void one_as_list(node& value);    // a -> [a]
void servers(node& value);        // the same, without empty ones
void sequence(node& value);       // {B: 1, A: , C: [2, 3]} -> [A, B=1, C=2, C=3]; a -> [a]
void variables(node& value);      // [A=1, B] -> {A: 1, B: null}
void agents(node& value);         // the same, where only `default` needs no value
void labels(node& value);         // the same, and what has no value is empty
void hosts(node& value);          // [a:1.1.1.1, a=2.2.2.2] -> {a: [1.1.1.1, 2.2.2.2]}
void names(node& value);          // [a, b] -> {a: null, b: null}
void dependencies(node& value);   // the same with {condition: service_started, required: true}
void build(node& value);          // DIR -> {context: DIR}
void extended(node& value);       // NAME -> {service: NAME}
void health_test(node& value);    // LINE -> [CMD-SHELL, LINE]
void env_files(node& value);      // FILE, [FILE] -> [{path: FILE, required: true}]
void gpus(node& value);           // all -> [{count: all}]
void device_count(node& value);   // all -> -1
void device_request(node& value); // without count and device_ids -> with {count: all}
void external(node& value);       // a resource's external: {name: N} -> external: true, name: N
void include(node& value);        // FILE, [FILE] -> [{path: [FILE]}]
void permissions(node& value);    // 0440 -> "0440"

// Items of lists.
std::vector<node> port(const node& item);
std::vector<node> mount(const node& item);
std::vector<node> file_reference(const node& item); // of configs and secrets: NAME -> {source: NAME}
std::vector<node> device(const node& item);         // A:B:rwm

// What is left out of items, for a warning.
std::vector<std::string> mount_remarks(const node& item); // "./a:/b:readonly"

// Old forms, for a warning.
std::vector<std::string> external_remarks(const node& resource); // external: {name: N}

// What tells items apart.
std::string by_value(const node& item);
std::string by_name(const node& item); // of NAME=VALUE
std::string by_target(const node& item);
std::string by_config_target(const node& item); // /NAME without one
std::string by_secret_target(const node& item); // /run/secrets/NAME without one
std::string by_port(const node& item);
std::string by_path(const node& item);
std::string by_subnet(const node& item);

} // namespace compose::long_form
