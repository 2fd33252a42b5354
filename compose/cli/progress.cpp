#include "compose/cli/progress.hpp"

#include "compose/cli/table.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <unistd.h>

namespace compose::cli {

namespace json = boost::json;
using clock = std::chrono::steady_clock;

namespace {

constexpr auto redraw_every = std::chrono::milliseconds(100);
constexpr std::array<std::string_view, 10> spinner{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
constexpr int green = 32;
constexpr int red = 31;
constexpr int yellow = 33;

// Words that end what is happening to a resource.
constexpr std::array<std::string_view, 16> final_words{"Created", "Started", "Killed", "Stopped", "Removed",
    "Running", "Paused", "Unpaused", "Healthy", "Pulled", "Exited", "Error", "Recreated", "Unhealthy",
    "Warning", "Resource is still in use"};

std::string capitalised(std::string text) {
    if (!text.empty())
        text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text;
}

bool is_final(const std::string& status) {
    return std::find(final_words.begin(), final_words.end(), status) != final_words.end();
}

/// As Docker Compose's --progress json has it.
std::string_view word_of(const std::string& status) {
    return status == "Error" || status == "Warning" ? std::string_view(status)
           : is_final(status)                       ? "Done"
                                                    : "Working";
}

struct line {
    std::string name; // "Container shop-web-1"
    std::string status;
    std::string detail;
    clock::time_point began;
    clock::time_point ended;
    bool done = false;
    bool failed = false;
};

} // namespace

struct progress::implementation : std::enable_shared_from_this<implementation> {
    implementation(boost::asio::io_context& io, drawing mode, std::string head)
        : how(mode), title(std::move(head)), timer(io) {}

    void draw();
    void tick();
    void print(const std::string& name, const std::string& status, const std::string& detail) const;

    drawing how;
    std::string title;
    boost::asio::steady_timer timer;
    std::vector<line> lines;
    std::size_t drawn = 0;
    std::size_t frame = 0;
    bool finished = false;
};

void progress::implementation::tick() {
    timer.expires_after(redraw_every);
    timer.async_wait([weak = weak_from_this()](boost::system::error_code cancelled) {
        const auto self = weak.lock();
        if (cancelled || !self || self->finished)
            return;
        self->draw();
        self->tick();
    });
}

void progress::implementation::draw() {
    std::string picture = drawn > 0 ? fmt::format("\x1b[{}A", drawn) : std::string();
    const auto done = static_cast<std::size_t>(
        std::count_if(lines.begin(), lines.end(), [](const line& each) { return each.done; }));
    picture += fmt::format("\x1b[2K[+] {} {}/{}\n", title, done, lines.size());
    std::size_t widest = 0;
    for (const line& each : lines)
        widest = std::max(widest, each.name.size());
    const terminal_size terminal = size_of_terminal(STDERR_FILENO);
    const std::size_t room = terminal.rows > 2 ? terminal.rows - 2U : 1U;
    const std::size_t shown = std::min(lines.size(), room);
    for (std::size_t index = 0; index < shown; ++index) {
        const line& each = lines[index];
        const auto until = each.done ? each.ended : clock::now();
        const double seconds = std::chrono::duration<double>(until - each.began).count();
        const std::string_view busy =
            finished ? "-" : spinner[frame % spinner.size()]; // in the last: left so
        const std::string mark = each.failed ? coloured("✘", red, true)
                                 : each.done ? coloured("✔", green, true)
                                             : coloured(busy, yellow, true);
        // A line that wraps would be two, and the picture would creep down the screen.
        const std::string time = fmt::format("{:.1f}s", seconds);
        const std::size_t used = time.size() + 6; // the mark, the spaces and a free last column
        const std::size_t left = terminal.columns > used ? terminal.columns - used : 1;
        std::string text = fmt::format("{:<{}}  {}{}", each.name, widest, each.status,
            each.detail.empty() ? "" : " " + printable(each.detail));
        text.resize(std::min(text.size(), left));
        picture += fmt::format("\x1b[2K {} {}  {}\n", mark, text, time);
    }
    drawn = shown + 1;
    ++frame;
    std::fwrite(picture.data(), 1, picture.size(), stderr);
    std::fflush(stderr);
}

void progress::implementation::print(
    const std::string& name, const std::string& status, const std::string& detail) const {
    if (how == drawing::plain)
        fmt::print(stderr, " {}  {}{}\n", name, status, detail.empty() ? "" : "  " + detail);
    if (how != drawing::json)
        return;
    json::object shown{{"id", name}, {"status", word_of(status)}, {"text", status}};
    if (!detail.empty())
        shown["details"] = detail;
    fmt::print(stderr, "{}\n", json::serialize(shown));
}

drawing drawing_of(const context& with, drawing wish) {
    if (wish == drawing::none || with.progress == "quiet")
        return drawing::none;
    if (with.progress == "json")
        return drawing::json;
    const bool able = with.progress == "tty" ||
                      (with.progress == "auto" && with.ansi != "never" && is_terminal(STDERR_FILENO));
    return wish == drawing::live && able ? drawing::live : drawing::plain;
}

progress::progress(boost::asio::io_context& io, drawing how, std::string title)
    : implementation_(std::make_shared<implementation>(io, how, std::move(title))) {
    if (how == drawing::live)
        implementation_->tick();
}

progress::~progress() {
    finish();
}

void progress::show(const json::object& event) {
    implementation& self = *implementation_;
    const std::string status = text_of(event, "status");
    const std::string name = capitalised(text_of(event, "kind")) + " " + text_of(event, "name");
    if (event.contains("exit_code"))
        return; // how a process ended is for `events`; here it is a part of Stopping or Restarting
    const json::value* current = event.if_contains("current");
    const bool waits = status == "Waiting"; // and in spite of what, if it is in trouble
    if (self.how != drawing::live) {
        const bool tells = status == "Error" || status == "Warning" || status == "Pulled" || waits;
        if (current == nullptr) // bytes mean nothing in a log
            self.print(name, status, tells ? text_of(event, "detail") : std::string());
        return;
    }
    auto found = std::find_if(
        self.lines.begin(), self.lines.end(), [&](const line& each) { return each.name == name; });
    if (found == self.lines.end())
        found = self.lines.insert(self.lines.end(), {.name = name, .began = clock::now()});
    found->status = status;
    found->detail = waits ? text_of(event, "detail") : std::string();
    if (current != nullptr)
        found->detail = fmt::format("{} / {}", human_bytes(current->to_number<double>()),
            human_bytes(event.at("total").to_number<double>()));
    found->done = is_final(status);
    found->failed = status == "Error";
    found->ended = clock::now();
}

void progress::finish() {
    implementation& self = *implementation_;
    if (std::exchange(self.finished, true))
        return;
    self.timer.cancel();
    if (self.how == drawing::live && !self.lines.empty())
        self.draw();
}

engine::task<json::object> follow_operation(context& with, std::unique_ptr<api::client_stream> stream,
    std::string title, operation_told* told, drawing wish) {
    operation_told untold;
    operation_told& so_far = told != nullptr ? *told : untold;
    progress drawn(with.io, drawing_of(with, wish), std::move(title));
    for (;;) {
        const std::optional<std::string> text = co_await stream->next_line();
        if (!text)
            throw error(error_kind::unavailable,
                "composed ended the connection; it carries on with what was asked, see: compose ps");
        const json::value parsed = parse_reply(*text);
        const json::object& object = parsed.as_object();
        so_far.end = object.contains("done") || object.contains("error");
        if (object.contains("done"))
            co_return object;
        if (const json::value* failure = object.if_contains("error")) {
            drawn.finish();
            const json::object& what = failure->as_object();
            throw error(error_kind_from(text_of(what, "kind")), text_of(what, "message"));
        }
        if (object.contains("revision"))
            so_far.first = object;
        else if (object.contains("kind"))
            drawn.show(object);
    }
}

} // namespace compose::cli
