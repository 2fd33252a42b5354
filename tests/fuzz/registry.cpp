#include "engine/image/auth_challenge.hpp"
#include "engine/image/config.hpp"
#include "engine/image/manifest.hpp"

#include "compose/model/error.hpp"

#include <cstdlib>

/// What a registry sends: it is refused, or every digest in it has its one form, and no path in it.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const auto read = engine::parse_manifest(text, {});
        if (const auto* manifest = std::get_if<engine::image_manifest>(&read))
            for (const engine::descriptor& layer : manifest->layers)
                if (layer.id.text().find('/') != std::string::npos)
                    std::abort();
        if (const auto* index = std::get_if<engine::image_index>(&read))
            engine::choose(*index, engine::host_platform());
    } catch (const compose::error&) {
    }
    try {
        engine::parse_image_document(text);
    } catch (const compose::error&) {
    }
    engine::parse_challenge(text);
    return 0;
}
