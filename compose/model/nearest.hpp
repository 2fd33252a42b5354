#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace compose {

/// The name of `known` that is nearest to `name`, or empty when none is near: by edits, of which a third of
/// its letters may need one (capitals are no other letters), else the only one whose end it is
/// ("healthy" of "service_healthy").
std::string nearest(std::string_view name, const std::vector<std::string_view>& known);

/// `, did you mean "NAME"?`, or empty when none is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& known);

} // namespace compose
