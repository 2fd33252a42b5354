#include "api/http/query.hpp"
#include "api/http/router.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>

namespace {

/// A request that asks for nothing more; what is answered is not looked at.
class request final : public api::exchange {
  public:
    std::string header(std::string_view) const override { return {}; }
    engine::task<std::string> body(std::size_t) override { co_return std::string(); }
    engine::task<std::string> body_part() override { co_return std::string(); }
    engine::task<> send(int, std::string, std::string) override { co_return; }
    engine::task<> begin_stream(std::string) override { co_return; }
    engine::task<> write(std::string) override { co_return; }
    void on_close(std::function<void()>) override {}
    bool closed() const noexcept override { return false; }
    engine::task<api::raw_connection*> upgrade(std::string) override { co_return nullptr; }
};

engine::task<> answer(api::exchange& asked) {
    for (const auto& [name, value] : asked.parameters)
        if (value.empty() && name != "image") // which stands for all that is left
            std::abort();
    co_return;
}

engine::task<> dispatch(const api::router& routes, request& asked) {
    try {
        co_await routes.dispatch(asked);
    } catch (const compose::error&) {
    }
}

} // namespace

/// A target as it comes: METHOD PATH?QUERY. What is escaped reads back as the same.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    static const api::router routes = [] {
        api::router made;
        made.add("GET", "/api/v1/projects", answer);
        made.add("PUT", "/api/v1/projects/{project}", answer);
        made.add("GET", "/api/v1/projects/{project}/revisions/{revision}", answer);
        made.add("DELETE", "/api/v1/images/{image...}", answer);
        return made;
    }();
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (api::percent_decode(api::percent_encode(text)) != text)
        std::abort();
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string target = text.substr(std::min(space + 1, text.size()));
    const std::size_t mark = std::min(target.find('?'), target.size());
    request asked;
    asked.method = text.substr(0, space);
    asked.path = api::percent_decode(target.substr(0, mark));
    const api::query query(target.substr(std::min(mark + 1, target.size())));
    try {
        query.flag("wait");
        query.list("services");
        query.number("timeout");
        query.time("since");
    } catch (const compose::error&) {
    }
    boost::asio::io_context io;
    boost::asio::co_spawn(io, dispatch(routes, asked), boost::asio::detached);
    io.run();
    return 0;
}
