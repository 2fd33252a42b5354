# The standard library's headers, parsed once for every target: a quarter of a clean build. Of the standard library alone, so
# that one precompiled header serves targets with any definitions and libraries; what a header of ours includes is still
# checked without it (target check_headers). g++ refuses one of other flags (-Winvalid-pch), so a mistake is an error.

set(standard_headers <algorithm> <array> <atomic> <charconv> <chrono> <coroutine> <cstdint> <deque> <exception> <filesystem>
    <fstream> <functional> <map> <memory> <mutex> <optional> <set> <span> <sstream> <string> <string_view> <thread> <tuple>
    <unordered_map> <utility> <variant> <vector>)

# precompiled_header(NAME headers…): a target to name in use_precompiled_header().
function(precompiled_header name)
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/precompiled/${name}.cpp CONTENT "")
    add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/precompiled/${name}.cpp)
    target_precompile_headers(${name} PRIVATE ${ARGN})
    target_link_libraries(${name} PRIVATE composed_flags)
endfunction()

# clang has its own rules for what may differ, and compiles the fuzz targets alone.
function(use_precompiled_header target name)
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
        target_precompile_headers(${target} REUSE_FROM ${name})
    endif()
endfunction()

precompiled_header(standard_library ${standard_headers})
