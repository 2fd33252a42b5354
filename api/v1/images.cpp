#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/image/image_store.hpp"
#include "engine/image/reference.hpp"
#include "engine/system/file.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

namespace api {

namespace json = boost::json;

namespace {

json::object view_of_image(const engine::image& picture) {
    json::array names;
    for (const std::string& name : picture.names)
        names.emplace_back(name);
    return {{"id", picture.id}, {"names", std::move(names)}, {"size", picture.size},
        {"created", picture.created}, {"platform", picture.platform}};
}

engine::task<> list(exchange& request, daemon_parts parts) {
    json::array all;
    for (const engine::image& each : parts.engine.images.list())
        all.push_back(view_of_image(each));
    co_await send_json(request, 200, std::move(all));
}

/// Lines of progress that wait for a client slower than the download: only the newest of each layer counts.
struct progress {
    explicit progress(boost::asio::io_context& io) : changed(io) {}

    engine::notifier changed;
    std::map<std::string, json::object> newest; // by layer
    std::exception_ptr failure;
    std::string id;
    bool done = false;
};

engine::task<> run_pull(
    std::shared_ptr<progress> to, daemon_parts parts, std::string reference, engine::pull_options options) {
    try {
        engine::pull_progress_callback note = [to](const engine::pull_progress& at) {
            to->newest[at.layer] = json::object{{"layer", at.layer}, {"status", at.state},
                {"current", at.current}, {"total", at.total}, {"image_current", at.image_current},
                {"image_total", at.image_total}};
            to->changed.notify_all();
        };
        const engine::image picture =
            co_await parts.engine.images.pull(std::move(reference), std::move(options), std::move(note));
        to->id = picture.id;
    } catch (...) {
        to->failure = std::current_exception();
    }
    to->done = true;
    to->changed.notify_all();
}

engine::task<> pull(exchange& request, daemon_parts parts) {
    const std::string reference = request.query.text("reference");
    if (reference.empty())
        throw compose::error(
            compose::error_kind::invalid, "pull: \"reference\" names the image and must not be empty");
    engine::parse_reference(reference); // throws for what is none, before the reply begins
    engine::pull_options options;
    options.platform = request.query.text("platform");
    const auto seen = std::make_shared<progress>(parts.engine.on.io);
    engine::spawn(
        parts.engine.on.io, "pull " + reference, run_pull(seen, parts, reference, std::move(options)));
    co_await request.begin_stream(json_lines);
    request.on_close([seen] { seen->changed.notify_all(); });
    while (!request.closed()) {
        std::string lines;
        for (const auto& [layer, line] : std::exchange(seen->newest, {}))
            lines += line_of(line);
        const bool done = seen->done;
        co_await request.write(std::move(lines));
        if (done)
            break;
        if (!seen->done && seen->newest.empty() && !request.closed())
            co_await seen->changed.wait();
    }
    json::object last;
    if (seen->failure)
        last["error"] = error_view(seen->failure);
    else
        last = {{"done", true}, {"id", seen->id}};
    co_await request.write(line_of(last));
}

engine::task<> resolve(exchange& request, daemon_parts parts) {
    const std::string reference = request.query.text("reference");
    if (reference.empty())
        throw compose::error(
            compose::error_kind::invalid, "resolve: \"reference\" names the image and must not be empty");
    json::object reply;
    reply["reference"] = co_await parts.engine.images.resolve(reference);
    co_await send_json(request, 200, std::move(reply));
}

/// An archive on its way in: in a file of its own, gone with this object.
class upload {
  public:
    upload()
        : path_(fmt::format("/var/tmp/composed-upload-{}", engine::random_identifier().substr(0, 16))),
          file_(engine::open_file(path_, O_WRONLY | O_CREAT | O_EXCL, 0600)) {}
    upload(const upload&) = delete;
    upload& operator=(const upload&) = delete;
    ~upload() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }

    void add(std::string_view part) { engine::write_to(file_, part, path_); }
    const std::filesystem::path& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
    engine::unique_fd file_;
};

engine::task<> load(exchange& request, daemon_parts parts) {
    const auto archive = std::make_shared<upload>();
    for (;;) {
        const std::string part = co_await request.body_part();
        if (part.empty())
            break;
        archive->add(part);
    }
    const std::vector<std::string> names = co_await parts.engine.images.load_archive(archive->path());
    json::array loaded;
    for (const std::string& name : names)
        loaded.emplace_back(name);
    json::object reply;
    reply["loaded"] = std::move(loaded);
    co_await send_json(request, 200, std::move(reply));
}

engine::task<> remove(exchange& request, daemon_parts parts) {
    const std::string name = request.parameters.at("reference");
    co_await parts.engine.images.remove(name, parts.containers.images_in_use());
    json::object reply;
    reply["removed"] = name;
    co_await send_json(request, 200, std::move(reply));
}

} // namespace

void add_image_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/images", [parts](exchange& request) { return list(request, parts); });
    to.add("POST", "/api/v1/images/pull", [parts](exchange& request) { return pull(request, parts); });
    to.add("GET", "/api/v1/images/resolve", [parts](exchange& request) { return resolve(request, parts); });
    to.add("POST", "/api/v1/images/load", [parts](exchange& request) { return load(request, parts); });
    to.add("DELETE", "/api/v1/images/{reference...}",
        [parts](exchange& request) { return remove(request, parts); });
}

} // namespace api
