#pragma once

#include "api/http/exchange.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace api {

using handler = std::function<engine::task<>(exchange&)>;

/// Paths and what answers them. A pattern is a path in which {name} stands for one segment and {name...} for
/// all that is left; the first that fits wins.
class router {
  public:
    void add(std::string method, std::string_view pattern, handler answer);

    /// Calls what answers the request; a method that the path does not have is answered by 405 with the ones
    /// it has. Throws error{not_found} for an unknown path.
    engine::task<> dispatch(exchange& request) const;

    /// "GET /api/v1/ping": the tests compare them with openapi.yaml.
    std::vector<std::string> routes() const;

  private:
    struct route {
        std::string method;
        std::vector<std::string> segments;
        handler answer;
    };
    std::vector<route> routes_;
};

} // namespace api
