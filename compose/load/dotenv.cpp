#include "compose/load/dotenv.hpp"

#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

namespace compose {

namespace {

constexpr std::size_t most_bytes = 8U << 20U; // of all values of a file: `A=$A$A` doubles with each line
constexpr std::size_t most_told = 100;        // who has more wrong lines has named another file than meant

/// Letters beyond ASCII too: of their UTF-8 no byte is below 0x80.
bool in_key(char c) noexcept {
    return static_cast<unsigned char>(c) >= 0x80 || std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_.-[]").find(c) != std::string_view::npos;
}

std::string_view without_mark(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf"))
        text.remove_prefix(3);
    return text;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0)
        text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
        text.remove_suffix(1);
    return text;
}

/// What is wrong with the lines of a file.
class line_faults {
  public:
    explicit line_faults(const std::string& file) : file_(std::make_shared<const std::string>(file)) {}

    void add(int line, std::size_t column, std::string message) {
        found_.push_back({.at = {.file = file_, .line = line, .column = static_cast<int>(column)},
            .path = {},
            .message = std::move(message)});
    }

    bool are_many() const noexcept { return found_.size() >= most_told; }

    void throw_any() {
        if (!found_.empty())
            throw load_error(std::move(found_));
    }

  private:
    std::shared_ptr<const std::string> file_;
    std::vector<diagnostic> found_;
};

class dotenv_parser {
  public:
    dotenv_parser(std::string_view text, const std::string& file, const variable_lookup& lookup,
        const variable_lookup& earlier)
        : rest_(without_mark(text)), line_begin_(rest_.data()), lookup_(lookup), earlier_(earlier),
          faults_(file) {}

    dotenv_entries run(std::vector<std::string>* unset) {
        for (skip_blank(); !rest_.empty() && !faults_.are_many(); skip_blank())
            try {
                entry();
            } catch (const fault&) {
                skip_line();
            }
        faults_.throw_any();
        if (unset != nullptr)
            unset->insert(unset->end(), unset_.begin(), unset_.end());
        return std::move(entries_);
    }

  private:
    struct fault {}; // of the line at hand, which is told

    struct place {
        int line;
        std::size_t column;
    };

    place here() const { return {line_, static_cast<std::size_t>(rest_.data() - line_begin_) + 1}; }

    [[noreturn]] void fail(std::string what) { fail(here(), std::move(what)); }

    [[noreturn]] void fail(place where, std::string what) {
        faults_.add(where.line, where.column, std::move(what));
        throw fault{};
    }

    char take() {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        if (c == '\n') {
            ++line_;
            line_begin_ = rest_.data();
        }
        return c;
    }

    void skip_blank() {
        while (!rest_.empty()) {
            if (rest_.front() == '#')
                skip_line();
            else if (std::isspace(static_cast<unsigned char>(rest_.front())) != 0)
                take();
            else
                return;
        }
    }

    void skip_line() {
        while (!rest_.empty() && rest_.front() != '\n')
            take();
    }

    void skip_spaces() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
            take();
    }

    void entry() {
        if (rest_.starts_with("export ") || rest_.starts_with("export\t")) {
            rest_.remove_prefix(7);
            skip_spaces();
        }
        std::string key;
        while (!rest_.empty() && in_key(rest_.front()))
            key += take();
        skip_spaces();
        if (key.empty())
            fail("a line begins with a name, like NAME=value");
        const bool ends = rest_.empty() || rest_.front() == '\n' || rest_.front() == '\r' ||
                          (rest_.front() == '#' && rest_.data()[-1] == ' ');
        if (ends) {
            skip_line();
            entries_.emplace_back(key, std::nullopt);
            return;
        }
        if (rest_.front() != '=' && rest_.front() != ':')
            fail(in_key(rest_.front())
                     ? "key cannot contain a space"
                     : fmt::format("unexpected character \"{}\" in variable name", rest_.front()));
        take();
        skip_spaces();
        entries_.emplace_back(key, value());
    }

    std::string value() {
        value_at_ = here();
        if (rest_.starts_with('\''))
            return single_quoted();
        if (rest_.starts_with('"'))
            return double_quoted();
        std::string_view line = rest_.substr(0, rest_.find('\n'));
        rest_.remove_prefix(line.size());
        return expand(trim(line.substr(0, line.find(" #"))));
    }

    void after_quote() {
        skip_spaces();
        if (!rest_.empty() && rest_.front() != '\n' && rest_.front() != '\r' && rest_.front() != '#')
            fail("unexpected text after the closing quote");
        skip_line();
    }

    std::string single_quoted() {
        take();
        std::string text;
        while (!rest_.empty() && rest_.front() != '\'') {
            const char c = take();
            if (c == '\\' && !rest_.empty() && rest_.front() != '\'')
                text += c; // it stays, and the next is no quote
            text += c == '\\' && !rest_.empty() ? take() : c;
        }
        if (rest_.empty())
            fail(value_at_, "unterminated quoted value");
        take();
        after_quote();
        return text;
    }

    // An escaped dollar survives the expansion as $$.
    std::string double_quoted() {
        take();
        std::string text;
        while (!rest_.empty() && rest_.front() != '"') {
            const char c = take();
            if (c != '\\' || rest_.empty()) {
                text += c;
                continue;
            }
            if (rest_.front() == '0' && rest_.size() > 1 && is_octal(rest_[1]))
                octal(text);
            else
                escape(text, take());
        }
        if (rest_.empty())
            fail(value_at_, "unterminated quoted value");
        take();
        after_quote();
        return expand(text);
    }

    static bool is_octal(char c) noexcept { return c >= '0' && c <= '7'; }

    /// "\0101" is "A": three digits after the nought. What is no character of them stays as it is written.
    void octal(std::string& text) {
        std::string digits;
        take();
        while (digits.size() < 3 && !rest_.empty() && is_octal(rest_.front()))
            digits += take();
        unsigned value = 0;
        for (const char digit : digits)
            value = value * 8 + static_cast<unsigned>(digit - '0');
        if (digits.size() < 3 || value == 0)
            text += "\\0" + digits;
        else if (value > 255)
            text += "\\" + digits;
        else if (value < 128)
            text += static_cast<char>(value);
        else // a letter of Latin-1, in UTF-8
            (text += static_cast<char>(0xc0U | value >> 6U)) += static_cast<char>(0x80U | (value & 0x3fU));
    }

    static void escape(std::string& text, char c) {
        constexpr std::string_view letters = "nrtabfv\\\"";
        constexpr std::string_view meanings = "\n\r\t\a\b\f\v\\\"";
        const auto found = letters.find(c);
        if (found != std::string_view::npos)
            text += meanings[found];
        else if (c == '$')
            text += "$$";
        else
            (text += '\\') += c;
    }

    std::string expand(std::string_view text) {
        const variable_lookup both = [this](const std::string& name) -> std::optional<std::string> {
            if (auto found = lookup_(name))
                return found;
            const auto own = std::find_if(
                entries_.rbegin(), entries_.rend(), [&](const auto& entry) { return entry.first == name; });
            if (own != entries_.rend())
                return own->second;
            return earlier_ ? earlier_(name) : std::nullopt;
        };
        std::string value;
        try {
            value = interpolate(text, both, unset_);
        } catch (const error& failure) {
            fail(value_at_, failure.what());
        }
        size_ += value.size();
        if (size_ > most_bytes)
            fail(value_at_, fmt::format("the values of this file are longer than {} bytes", most_bytes));
        return value;
    }

    std::string_view rest_;
    int line_ = 1;
    const char* line_begin_;
    const variable_lookup& lookup_;
    const variable_lookup& earlier_;
    dotenv_entries entries_;
    std::vector<std::string> unset_;
    line_faults faults_;
    place value_at_{};     // that was read last
    std::size_t size_ = 0; // of the values
};

} // namespace

namespace {

/// What is read travels as JSON, which knows UTF-8 alone.
void check_text(std::string_view text, const std::string& file) {
    int line = 1;
    std::size_t line_begin = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = utf8_size(text.substr(at));
        if (size == 0)
            throw_load_error({.file = std::make_shared<const std::string>(file),
                                 .line = line,
                                 .column = static_cast<int>(at - line_begin) + 1},
                {}, fmt::format("the byte 0x{:02x} is no UTF-8", static_cast<unsigned char>(text[at])));
        if (text[at] == '\n') {
            ++line;
            line_begin = at + 1;
        }
        at += size;
    }
}

} // namespace

dotenv_entries parse_dotenv(std::string_view text, const std::string& file, const variable_lookup& lookup,
    const variable_lookup& earlier, std::vector<std::string>* unset) {
    check_text(text, file);
    return dotenv_parser(text, file, lookup, earlier).run(unset);
}

dotenv_entries parse_dotenv_raw(std::string_view text, const std::string& file) {
    check_text(text, file);
    dotenv_entries entries;
    line_faults faults(file);
    text = without_mark(text);
    int number = 0;
    while (!text.empty() && !faults.are_many()) {
        ++number;
        const auto end = text.find('\n');
        const std::string_view whole = text.substr(0, end);
        std::string_view line = whole;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        while (line.starts_with(' ') || line.starts_with('\t'))
            line.remove_prefix(1);
        if (line.empty() || line.front() == '#')
            continue;
        const auto equals = line.find('=');
        const std::string key(line.substr(0, equals));
        if (key.empty() || key.find_first_of(" \t") != std::string::npos)
            faults.add(number, static_cast<std::size_t>(line.data() - whole.data()) + 1,
                fmt::format("\"{}\" is no variable name", key));
        else if (equals == std::string_view::npos)
            entries.emplace_back(key, std::nullopt);
        else
            entries.emplace_back(key, std::string(line.substr(equals + 1)));
    }
    faults.throw_any();
    return entries;
}

} // namespace compose
