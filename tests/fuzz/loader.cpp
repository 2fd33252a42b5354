#include "compose/load/loader.hpp"
#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"

#include <cstdlib>

/// A project from a request: it is refused, or what it means survives the wire.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    try {
        const compose::project read = compose::load_text({reinterpret_cast<const char*>(data), size}, "fuzz");
        if (!(compose::from_wire(compose::to_wire(read)) == read))
            std::abort();
    } catch (const compose::error&) {
    }
    return 0;
}
