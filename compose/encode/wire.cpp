#include "compose/encode/base64.hpp"
#include "compose/encode/describe.hpp"
#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>

#include <array>
#include <chrono>
#include <set>
#include <type_traits>

namespace compose {

namespace json = boost::json;

namespace {

template <typename T>
concept enumeration = std::is_enum_v<T>;

/// Names of enumerators in their order; part of the wire form.
template <typename T>
struct names_of;
template <>
struct names_of<mount_type> {
    static constexpr std::array<std::string_view, 6> names{
        "bind", "volume", "tmpfs", "image", "cluster", "npipe"};
};
template <>
struct names_of<dependency_condition> {
    static constexpr std::array<std::string_view, 3> names{"started", "healthy", "completed_successfully"};
};
template <>
struct names_of<restart_mode> {
    static constexpr std::array<std::string_view, 4> names{"no", "always", "on_failure", "unless_stopped"};
};

// --- writing

class writer {
  public:
    template <typename T>
    void operator()(std::string_view name, const T& value) {
        if (!(value == defaults<T>()))
            object_[name] = encode(value);
    }

    // The defaults of members that are not those of their type.
    void operator()(std::string_view name, const std::string& value) {
        const std::string_view usual = name == "protocol" ? "tcp" : name == "mode" ? "ingress" : "";
        if (value != usual)
            object_[name] = value;
    }
    void operator()(std::string_view name, const bool& value) {
        const bool usual =
            name == "required" || name == "create_host_path" || name == "enable_ipv4" || name == "attach";
        if (value != usual)
            object_[name] = value;
    }
    void operator()(std::string_view name, const unsigned& value) {
        if (value != (name == "scale" ? 1U : 0U))
            object_[name] = value;
    }
    void operator()(std::string_view name, const mount_type& value) {
        if (value != mount_type::volume)
            object_[name] = encode(value);
    }

    json::object take() { return std::move(object_); }

  private:
    template <typename T>
    static T defaults() {
        return T{};
    }

    static json::value encode(const std::string& value) { return json::string(value); }
    static json::value encode(const binary& value) { return json::string(to_base64(value.bytes)); }
    static json::value encode(bool value) { return value; }
    template <std::integral T>
    static json::value encode(T value) {
        return value;
    }
    static json::value encode(double value) { return value; }
    static json::value encode(std::chrono::nanoseconds value) { return value.count(); }
    template <enumeration T>
    static json::value encode(T value) {
        return json::string(names_of<T>::names.at(static_cast<std::size_t>(value)));
    }
    template <typename T>
    static json::value encode(const std::optional<T>& value) {
        return value ? encode(*value) : json::value(nullptr);
    }
    template <typename T>
    static json::value encode(const std::vector<T>& values) {
        json::array array;
        for (const T& each : values)
            array.push_back(encode(each));
        return array;
    }
    template <typename T>
    static json::value encode(const std::map<std::string, T>& values) {
        json::object object;
        for (const auto& [key, value] : values)
            object[key] = encode(value);
        return object;
    }
    template <typename T>
    requires std::is_class_v<T>
    static json::value encode(const T& value) {
        writer inner;
        describe(inner, const_cast<T&>(value)); // describe() serves both directions; a writer changes nothing
        return inner.take();
    }

    json::object object_;
};

// --- reading

/// What does not fit, on its way out to from_wire(): each level puts its own step before the path.
struct misfit {
    std::string path;
    std::string message;
};

template <typename Decode>
void at(std::string_view step, Decode decode) {
    try {
        decode();
    } catch (misfit& found) {
        found.path =
            fmt::format("{}{}{}", step, found.path.empty() || found.path[0] == '[' ? "" : ".", found.path);
        throw;
    } catch (const boost::system::system_error& failure) {
        throw misfit{std::string(step), failure.code().message()};
    } catch (const std::invalid_argument& failure) { // what as_object() and its like throw
        throw misfit{std::string(step), failure.what()};
    }
}

class reader {
  public:
    explicit reader(const json::value& from) : object_(from.as_object()) {}

    template <typename T>
    void operator()(std::string_view name, T& value) {
        known_.insert(name);
        if (const json::value* found = object_.if_contains(name))
            at(name, [&] { decode(*found, value); });
    }

    void refuse_unknown() const {
        for (const auto& member : object_)
            if (!known_.contains(std::string_view(member.key())))
                throw misfit{std::string(member.key()), "unknown member"};
    }

  private:
    // The kernel takes a NUL for the end, and would quietly do less than was asked.
    static std::string whole(std::string_view text) {
        if (text.find('\0') != std::string_view::npos)
            throw misfit{{}, "a NUL cannot be part of a text"};
        return std::string(text);
    }

    static void decode(const json::value& from, std::string& into) { into = whole(from.as_string()); }
    static void decode(const json::value& from, binary& into) {
        std::optional<std::string> bytes = from_base64(from.as_string());
        if (!bytes)
            throw misfit{{}, "is not base64"};
        into.bytes = std::move(*bytes);
    }
    static void decode(const json::value& from, bool& into) { into = from.as_bool(); }
    template <std::integral T>
    static void decode(const json::value& from, T& into) {
        into = from.to_number<T>();
    }
    static void decode(const json::value& from, double& into) { into = from.to_number<double>(); }
    static void decode(const json::value& from, std::chrono::nanoseconds& into) {
        into = std::chrono::nanoseconds(from.to_number<std::int64_t>());
    }
    template <enumeration T>
    static void decode(const json::value& from, T& into) {
        const std::string_view text = from.as_string();
        for (std::size_t index = 0; index < names_of<T>::names.size(); ++index)
            if (names_of<T>::names[index] == text) {
                into = static_cast<T>(index);
                return;
            }
        throw misfit{{}, fmt::format("\"{}\" is none of {}", text, fmt::join(names_of<T>::names, ", "))};
    }
    template <typename T>
    static void decode(const json::value& from, std::optional<T>& into) {
        if (from.is_null())
            into.reset();
        else
            decode(from, into.emplace());
    }
    template <typename T>
    static void decode(const json::value& from, std::vector<T>& into) {
        into.clear();
        for (const json::value& each : from.as_array())
            at(fmt::format("[{}]", into.size()), [&] { decode(each, into.emplace_back()); });
    }
    template <typename T>
    static void decode(const json::value& from, std::map<std::string, T>& into) {
        into.clear();
        for (const auto& member : from.as_object()) {
            const std::string key = whole(member.key());
            at(key, [&] { decode(member.value(), into[key]); });
        }
    }
    template <typename T>
    requires std::is_class_v<T>
    static void decode(const json::value& from, T& into) {
        reader inner(from);
        describe(inner, into);
        inner.refuse_unknown();
    }

    const json::object& object_;
    std::set<std::string_view> known_;
};

std::string sha256(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (::EVP_Digest(text.data(), text.size(), digest.data(), &size, ::EVP_sha256(), nullptr) != 1)
        throw error(error_kind::internal, "compute SHA-256: refused by OpenSSL");
    std::string hex;
    for (unsigned index = 0; index < size; ++index)
        hex += fmt::format("{:02x}", digest[index]);
    return hex;
}

} // namespace

std::string to_wire(const project& value) {
    writer archive;
    describe(archive, const_cast<project&>(value));
    return json::serialize(archive.take());
}

project from_wire(std::string_view text) {
    try {
        json::parse_options options;
        options.max_depth = 64;
        const json::value parsed = json::parse(text, {}, options);
        project value;
        reader archive(parsed);
        describe(archive, value);
        archive.refuse_unknown();
        for (const auto& [list, services] : {std::pair("services", &value.services),
                 std::pair("disabled_services", &value.disabled_services)})
            for (const auto& [name, service] : *services)
                if (service.name != name)
                    throw misfit{
                        fmt::format("{}.{}.name", list, name), fmt::format("is \"{}\"", service.name)};
        return value;
    } catch (const boost::system::system_error& failure) {
        throw error(error_kind::invalid, fmt::format("project definition: {}", failure.code().message()));
    } catch (const std::invalid_argument& failure) {
        throw error(error_kind::invalid, fmt::format("project definition: {}", failure.what()));
    } catch (const misfit& found) {
        throw error(
            error_kind::invalid, fmt::format("project definition: {}: {}", found.path, found.message));
    }
}

namespace {

std::set<std::string> keys_of(const json::object& one, const json::object& other) {
    std::set<std::string> keys;
    for (const json::object* each : {&one, &other})
        for (const auto& member : *each)
            keys.insert(member.key());
    return keys;
}

/// Of lists of secrets or configs the sources that differ: `secret db_password`.
void changed_contents(std::string_view kind, const json::value& before, const json::value& after,
    std::vector<std::string>& changed) {
    std::map<std::string, std::pair<json::array, json::array>> by_source;
    for (const auto& [list, old] : {std::pair(&before, true), std::pair(&after, false)})
        if (list->is_array())
            for (const json::value& each : list->get_array()) {
                auto& both = by_source[std::string(each.at("source").as_string())];
                (old ? both.first : both.second).push_back(each);
            }
    const std::size_t there = changed.size();
    for (const auto& [source, both] : by_source)
        if (both.first != both.second)
            changed.push_back(fmt::format("{} {}", kind, source));
    if (changed.size() == there)
        changed.push_back(fmt::format("{}s", kind)); // their order, which decides about one target
}

json::object object_or_empty(const json::value& of) {
    return of.is_object() ? of.get_object() : json::object();
}

/// Members that differ; of mappings the keys that do. `environment LOG_LEVEL`, `ports`.
std::vector<std::string> changed_members(const json::object& before, const json::object& after) {
    static const json::value none;
    const auto member = [](const json::object& of, const std::string& key) -> const json::value& {
        const json::value* found = of.if_contains(key);
        return found == nullptr ? none : *found;
    };
    // What people give names to; of the others the whole says enough.
    static const std::set<std::string_view> named{"annotations", "depends_on", "driver_opts", "environment",
        "extra_hosts", "labels", "networks", "sysctls", "ulimits"};
    std::vector<std::string> changed;
    for (const std::string& key : keys_of(before, after)) {
        const json::value& old = member(before, key);
        const json::value& fresh = member(after, key);
        if (old == fresh)
            continue;
        if (key == "secrets" || key == "configs") {
            changed_contents(key == "secrets" ? "secret" : "config", old, fresh, changed);
            continue;
        }
        if (key == "limits") { // its members are keys of the service
            for (std::string& inner : changed_members(object_or_empty(old), object_or_empty(fresh)))
                changed.push_back(std::move(inner));
            continue;
        }
        const bool maps = (old.is_object() || old.is_null()) && (fresh.is_object() || fresh.is_null());
        if (!maps || !named.contains(key)) {
            changed.push_back(key == "mounts" ? "volumes" : key == "health" ? "healthcheck" : key);
            continue;
        }
        const json::object one = object_or_empty(old);
        const json::object other = object_or_empty(fresh);
        for (const std::string& inner : keys_of(one, other))
            if (member(one, inner) != member(other, inner) || one.contains(inner) != other.contains(inner))
                changed.push_back(fmt::format("{} {}", key, inner));
    }
    return changed;
}

template <typename Value>
json::object described(const Value& value) {
    writer archive;
    describe(archive, const_cast<Value&>(value));
    return archive.take();
}

template <typename Map>
void compare(
    std::string_view kind, const Map& before, const Map& after, std::vector<project_difference>& into) {
    std::set<std::string> names;
    for (const Map* each : {&before, &after})
        for (const auto& [name, value] : *each)
            names.insert(name);
    for (const std::string& name : names) {
        const auto old = before.find(name);
        const auto fresh = after.find(name);
        project_difference found{.kind = std::string(kind), .name = name, .change = {}, .details = {}};
        if (old == before.end())
            found.change = "added";
        else if (fresh == after.end())
            found.change = "removed";
        else if (old->second == fresh->second)
            continue;
        else {
            found.change = "changed";
            found.details = changed_members(described(old->second), described(fresh->second));
        }
        into.push_back(std::move(found));
    }
}

} // namespace

std::vector<std::string> container_changes(const service& before, const service& after) {
    writer one;
    writer other;
    describe_container(one, const_cast<service&>(before));
    describe_container(other, const_cast<service&>(after));
    return changed_members(one.take(), other.take());
}

std::vector<std::string> limit_changes(const limits& before, const limits& after) {
    return changed_members(described(before), described(after));
}

std::vector<project_difference> differences(const project& before, const project& after) {
    std::vector<project_difference> all;
    compare("service", before.services, after.services, all);
    compare("network", before.networks, after.networks, all);
    compare("volume", before.volumes, after.volumes, all);
    compare("secret", before.secrets, after.secrets, all);
    compare("config", before.configs, after.configs, all);
    return all;
}

std::string service_hash(const service& value) {
    writer archive;
    describe_container(archive, const_cast<service&>(value));
    return sha256(json::serialize(archive.take()));
}

} // namespace compose
