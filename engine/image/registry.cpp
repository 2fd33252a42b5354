#include "engine/image/registry.hpp"

#include "compose/model/error.hpp"
#include "engine/image/auth_challenge.hpp"
#include "engine/image/image_store.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <boost/url.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace engine {

namespace asio = boost::asio;
namespace json = boost::json;
using compose::error;
using compose::error_kind;
using namespace std::chrono_literals;

namespace {

constexpr int most_attempts = 5;
constexpr auto first_delay = 1s;
constexpr auto longest_delay = 30s;
constexpr std::size_t reply_limit = 1U << 20U; // bytes, of errors and tokens

/// "bytes 100-199/200" must be just what was asked for: a server that sends another part would go unnoticed
/// until the digest, and some send the whole (pitfall of resumed transfers).
bool is_range(const std::string& header, std::uint64_t first, std::uint64_t size) {
    return header == fmt::format("bytes {}-{}/{}", first, size - 1, size);
}

std::string with_query(const auth_challenge& challenge) {
    const auto parsed = boost::urls::parse_uri(challenge.realm);
    if (!parsed)
        throw error(error_kind::invalid, "the registry sends to a token server whose address is none");
    boost::urls::url url(*parsed);
    if (!challenge.service.empty())
        url.params().append({"service", challenge.service});
    if (!challenge.scope.empty())
        url.params().append({"scope", challenge.scope});
    return std::string(url.buffer());
}

std::string token_of(const std::string& text) {
    boost::system::error_code broken;
    const json::value parsed = json::parse(text, broken);
    if (!broken && parsed.is_object())
        for (const char* key : {"token", "access_token"})
            if (const json::value* token = parsed.as_object().if_contains(key);
                token != nullptr && token->is_string())
                return std::string(token->as_string());
    throw error(error_kind::invalid, "the registry's token server answers without a token");
}

} // namespace

std::vector<std::string> registry_addresses(const std::string& registry, const image_settings& settings) {
    std::vector<std::string> addresses;
    const auto add = [&](std::string address) {
        while (address.ends_with('/'))
            address.pop_back();
        if (address.find("://") != std::string::npos) {
            addresses.push_back(std::move(address));
            return;
        }
        addresses.push_back("https://" + address);
        const std::string authority = address.substr(0, address.find('/'));
        std::string host =
            authority.substr(0, authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':'));
        const bool insecure = settings.insecure.contains(authority) || settings.insecure.contains(host);
        if (host.starts_with('['))
            host = host.substr(1, host.size() - 2);
        if (insecure || is_loopback(host))
            addresses.push_back("http://" + address);
    };
    if (const auto mirrors = settings.mirrors.find(registry); mirrors != settings.mirrors.end())
        for (const std::string& mirror : mirrors->second)
            add(mirror);
    // The name people know is not the host that serves.
    add(registry == "docker.io" ? "registry-1.docker.io" : registry);
    return addresses;
}

struct registry::implementation {
    task<std::unique_ptr<http_reply>> get(std::string path, http_client::header_map headers);
    task<> fetch_token(auth_challenge challenge);
    [[noreturn]] void refuse(const http_reply& reply) const;
    task<> part(descriptor what, std::shared_ptr<chunk_queue> into, std::shared_ptr<notifier> room,
        std::shared_ptr<std::uint64_t> done, std::function<void(std::uint64_t)> received);

    asio::io_context& io;
    std::shared_ptr<http_client> client;
    std::string address;
    std::string repository;
    std::string token;
    std::chrono::seconds retry_after{0}; // as the last answer had it
};

registry::registry(
    asio::io_context& io, std::shared_ptr<http_client> client, std::string address, std::string repository)
    : implementation_(std::make_shared<implementation>(implementation{.io = io,
          .client = std::move(client),
          .address = std::move(address),
          .repository = std::move(repository)})) {}

void registry::implementation::refuse(const http_reply& reply) const {
    switch (reply.status) {
    case 401:
    case 403:
        throw error(error_kind::unauthorized, fmt::format("registry \"{}\" wants credentials for \"{}\"; "
                                                          "private registries are not supported yet, and a "
                                                          "repository that does not exist may look like one",
                                                  address, repository));
    case 404:
        throw error(error_kind::not_found,
            fmt::format("registry \"{}\" has no such image in \"{}\"", address, repository));
    case 408:
    case 429:
        throw error(error_kind::unavailable,
            fmt::format("registry \"{}\" asks to come back later (status {})", address, reply.status));
    default:
        throw error(reply.status >= 500 ? error_kind::unavailable : error_kind::invalid,
            fmt::format("registry \"{}\" answers with status {}", address, reply.status));
    }
}

task<> registry::implementation::fetch_token(auth_challenge challenge) {
    // A token is a secret: in clear only where the registry itself is asked in clear.
    if (!challenge.realm.starts_with("https://") && !address.starts_with("http://"))
        throw error(error_kind::unauthorized,
            fmt::format("registry \"{}\" sends to a token server without TLS", address));
    std::unique_ptr<http_reply> reply = co_await client->get(with_query(challenge), {});
    if (reply->status != 200)
        refuse(*reply);
    const std::string text = co_await read_text(*reply, reply_limit);
    token = token_of(text);
}

task<std::unique_ptr<http_reply>> registry::implementation::get(
    std::string path, http_client::header_map headers) {
    const std::string url = fmt::format("{}/v2/{}/{}", address, repository, path);
    for (bool again = false;; again = true) {
        if (!token.empty())
            headers["Authorization"] = "Bearer " + token;
        std::unique_ptr<http_reply> reply = co_await client->get(url, headers);
        if (reply->status == 200 || reply->status == 206)
            co_return reply;
        const std::string wait = reply->header("retry-after");
        unsigned seconds = 0;
        std::from_chars(wait.data(), wait.data() + wait.size(), seconds);
        retry_after = std::min<std::chrono::seconds>(std::chrono::seconds(seconds), longest_delay);
        const std::optional<auth_challenge> challenge = parse_challenge(reply->header("www-authenticate"));
        if (reply->status != 401 || again || !challenge)
            refuse(*reply);
        // Read to its end, so that the connection is of use again.
        if (reply->length && *reply->length < reply_limit)
            co_await read_text(*reply, reply_limit);
        co_await fetch_token(*challenge);
    }
}

task<registry_document> registry::manifest(std::string tag_or_digest) {
    const auto self = implementation_;
    http_client::header_map headers;
    headers["Accept"] = manifest_types;
    std::unique_ptr<http_reply> reply = co_await self->get("manifests/" + tag_or_digest, headers);
    registry_document document;
    document.content_type = reply->header("content-type");
    document.text = co_await read_text(*reply, manifest_limit);
    if (tag_or_digest.starts_with("sha256:") && sha256_of(document.text).text() != tag_or_digest)
        throw error(error_kind::invalid,
            fmt::format("registry \"{}\" sent another manifest than \"{}\"", self->address, tag_or_digest));
    co_return document;
}

task<std::string> registry::blob_text(descriptor what, std::size_t limit) {
    const auto self = implementation_;
    if (what.size > limit)
        throw error(error_kind::exhausted,
            fmt::format("\"{}\" has {} bytes, {} are allowed", what.id.text(), what.size, limit));
    std::unique_ptr<http_reply> reply = co_await self->get("blobs/" + what.id.text(), {});
    std::string text = co_await read_text(*reply, limit);
    if (sha256_of(text) != what.id)
        throw error(error_kind::invalid,
            fmt::format("registry \"{}\" sent another content than \"{}\"", self->address, what.id.text()));
    co_return text;
}

/// From `done` on to the end, as far as the connection goes.
task<> registry::implementation::part(descriptor what, std::shared_ptr<chunk_queue> into,
    std::shared_ptr<notifier> room, std::shared_ptr<std::uint64_t> done,
    std::function<void(std::uint64_t)> received) {
    http_client::header_map headers;
    const std::uint64_t begin = *done;
    if (begin > 0)
        headers["Range"] = fmt::format("bytes={}-{}", begin, what.size - 1);
    std::unique_ptr<http_reply> reply = co_await get("blobs/" + what.id.text(), headers);
    if (reply->status == 206 && !is_range(reply->header("content-range"), begin, what.size))
        throw error(
            error_kind::invalid, fmt::format("registry \"{}\" sent another part than asked for", address));
    // Servers may answer a range with the whole: what we have already is left out.
    std::uint64_t at = reply->status == 206 ? begin : 0;
    while (at < what.size) {
        std::optional<chunk_queue::chunk> chunk = into->try_take();
        if (into->stopped())
            co_return;
        if (!chunk) {
            co_await room->wait();
            continue;
        }
        const std::uint64_t wanted = at < begin ? begin - at : what.size - at;
        const std::size_t most =
            static_cast<std::size_t>(std::min<std::uint64_t>(chunk_queue::chunk_size, wanted));
        bool ended = false;
        std::exception_ptr broken;
        while (chunk->size < most && !ended && !broken) {
            const std::span<char> rest(chunk->bytes.data() + chunk->size, most - chunk->size);
            try {
                const std::size_t count = co_await reply->read(rest);
                chunk->size += count;
                ended = count == 0;
            } catch (const error&) {
                broken = std::current_exception();
            }
        }
        at += chunk->size;
        if (at <= begin) {
            into->give_back(std::move(*chunk));
        } else {
            into->push(std::move(*chunk));
            *done = at;
            received(at);
        }
        if (broken)
            std::rethrow_exception(broken);
        if (ended)
            throw error(
                error_kind::unavailable, fmt::format("registry \"{}\" ended a transfer early", address));
    }
    char beyond = 0;
    const std::size_t more = co_await reply->read({&beyond, 1});
    if (more > 0)
        throw error(
            error_kind::invalid, fmt::format("\"{}\" is larger than its manifest says", what.id.text()));
}

task<> registry::blob(
    descriptor what, std::shared_ptr<chunk_queue> into, std::function<void(std::uint64_t)> received) {
    const auto self = implementation_;
    const auto room = std::make_shared<notifier>(self->io);
    into->on_room([&io = self->io, weak = std::weak_ptr<notifier>(room)] {
        asio::post(io, [weak] {
            if (const auto waiting = weak.lock())
                waiting->notify_all();
        });
    });
    const auto done = std::make_shared<std::uint64_t>(0);
    std::chrono::seconds delay = first_delay;
    for (int attempt = 1;; ++attempt) {
        std::exception_ptr failure;
        try {
            co_await self->part(what, into, room, done, received);
        } catch (const error& thrown) {
            failure = std::current_exception();
            if (thrown.kind() != error_kind::unavailable || attempt == most_attempts) {
                into->finish(failure);
                throw;
            }
        }
        if (!failure || into->stopped())
            break;
        asio::steady_timer timer(self->io, std::max(delay, std::exchange(self->retry_after, 0s)));
        co_await timer.async_wait(asio::use_awaitable);
        delay = std::min<std::chrono::seconds>(delay * 2, longest_delay);
    }
    into->finish();
}

} // namespace engine
