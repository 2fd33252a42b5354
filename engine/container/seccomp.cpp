#include "engine/container/seccomp.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <openssl/evp.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace engine {

namespace json = boost::json;

namespace {

#if defined(__x86_64__)
constexpr std::string_view machine_arch = "amd64";
constexpr std::string_view seccomp_arch = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
constexpr std::string_view machine_arch = "arm64";
constexpr std::string_view seccomp_arch = "SCMP_ARCH_AARCH64";
#else
#error "add the architecture's names in containers-common's seccomp.json"
#endif

const json::array* list(const json::object& from, std::string_view key) {
    const json::value* found = from.if_contains(key);
    return found != nullptr ? found->if_array() : nullptr;
}

bool overlaps(const json::array& wanted, const std::vector<std::string>& present) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const json::value& each) {
        return each.is_string() &&
               std::find(present.begin(), present.end(), each.as_string()) != present.end();
    });
}

// Includes hold when all their kinds do (capabilities: each of them), excludes when any does.
bool applies(const json::object& rule, const std::vector<std::string>& capabilities) {
    const std::vector<std::string> arch{std::string(machine_arch)};
    if (const json::value* includes = rule.if_contains("includes"); includes && includes->is_object()) {
        const json::object& wanted = includes->get_object();
        if (const auto* arches = list(wanted, "arches"); arches && !overlaps(*arches, arch))
            return false;
        if (const auto* caps = list(wanted, "caps"))
            for (const json::value& each : *caps)
                if (std::find(capabilities.begin(), capabilities.end(), each.as_string()) ==
                    capabilities.end())
                    return false;
    }
    if (const json::value* excludes = rule.if_contains("excludes"); excludes && excludes->is_object()) {
        const json::object& unwanted = excludes->get_object();
        if (const auto* arches = list(unwanted, "arches"); arches && overlaps(*arches, arch))
            return false;
        if (const auto* caps = list(unwanted, "caps"); caps && overlaps(*caps, capabilities))
            return false;
    }
    return true;
}

json::object convert_rule(const json::object& rule) {
    json::object out;
    out["names"] = rule.at("names");
    out["action"] = rule.at("action");
    if (const json::value* number = rule.if_contains("errnoRet"); number && number->is_number())
        out["errnoRet"] = *number;
    if (const auto* args = list(rule, "args"); args && !args->empty())
        out["args"] = *args;
    return out;
}

json::array architectures(const json::object& profile) {
    json::array out{seccomp_arch};
    if (const auto* map = list(profile, "archMap"))
        for (const json::value& entry : *map) {
            const json::object& arch = entry.as_object();
            const auto* below = list(arch, "subArchitectures");
            if (arch.at("architecture").as_string() == seccomp_arch && below != nullptr)
                out.insert(out.end(), below->begin(), below->end());
        }
    return out;
}

json::object convert(std::string_view text, const std::vector<std::string>& capabilities) {
    try {
        const json::value parsed = json::parse({text.data(), text.size()});
        const json::object& profile = parsed.as_object();
        json::object out;
        out["defaultAction"] = profile.at("defaultAction");
        if (const json::value* number = profile.if_contains("defaultErrnoRet"))
            out["defaultErrnoRet"] = *number;
        out["architectures"] = architectures(profile);
        json::array rules;
        if (const auto* all = list(profile, "syscalls"))
            for (const json::value& each : *all)
                if (applies(each.as_object(), capabilities))
                    rules.push_back(convert_rule(each.as_object()));
        out["syscalls"] = std::move(rules);
        return out;
    } catch (const compose::error&) {
        throw;
    } catch (const std::exception& failure) {
        throw compose::error(
            compose::error_kind::invalid, fmt::format("seccomp profile is not usable: {}", failure.what()));
    }
}

constexpr std::size_t max_program = sizeof(sock_filter) * BPF_MAXINSNS;

std::string base64(std::string_view bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0'); // and the zero that OpenSSL ends it with
    const int length = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

} // namespace

std::string convert_seccomp_profile(std::string_view profile, const std::vector<std::string>& capabilities) {
    return json::serialize(convert(profile, capabilities));
}

seccomp_profiles::seccomp_profiles(const std::filesystem::path& file) {
    auto text = read_file_if_there(file);
    if (text)
        profile_ = std::move(*text);
    else
        spdlog::warn(
            "seccomp profile \"{}\" is not there: containers run without a system call filter; install "
            "golang-github-containers-common",
            file.native());
}

seccomp_profiles::~seccomp_profiles() = default;

std::shared_ptr<const json::value> seccomp_profiles::for_capabilities(
    const std::vector<std::string>& capabilities) const {
    if (profile_.empty())
        return nullptr;
    const std::lock_guard held(mutex_);
    auto& cached = converted_[capabilities];
    if (!cached)
        cached = std::make_shared<const json::value>(convert(profile_, capabilities));
    return cached;
}

std::string seccomp_profiles::compiled(const std::vector<std::string>& capabilities) const {
    const std::lock_guard held(mutex_);
    const auto found = compiled_.find(capabilities);
    return found != compiled_.end() ? found->second : std::string();
}

void seccomp_profiles::learn(
    const std::vector<std::string>& capabilities, const std::filesystem::path& file) const {
    const auto program = read_file_if_there(file, max_program);
    if (!program || program->empty() || program->size() % sizeof(sock_filter) != 0)
        return;
    const std::lock_guard held(mutex_);
    compiled_[capabilities] = base64(*program);
}

} // namespace engine
