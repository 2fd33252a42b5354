# Warnings, sanitizers and the optional faster tools, for every target of the project.

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

option(COMPOSED_WERROR "warnings are errors" ON)
set(COMPOSED_SANITIZE "" CACHE STRING "list for -fsanitize, empty for none")

find_program(COMPOSED_CCACHE ccache)
if(COMPOSED_CCACHE)
    # A second checkout finds what the first has compiled: paths below the checkout count from there.
    # The sloppiness is what its manual asks for with precompiled headers; we have no __DATE__ and no __TIME__.
    set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
        CCACHE_SLOPPINESS=pch_defines,time_macros ${COMPOSED_CCACHE})
endif()

find_program(COMPOSED_MOLD mold)
if(COMPOSED_MOLD)
    add_link_options(-fuse-ld=mold)
endif()

add_library(composed_flags INTERFACE)
target_compile_options(composed_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -fno-plt)
# Members left out of a designated initialiser have their defaults on purpose. g++ 12 sees overlaps in every
# `"literal" + string`, and sizes beyond bounds in what it inlines of std::string, that are not there (GCC PR 105651, 105329).
# It also takes Asio's coroutine frames for a mismatch of new and delete (GCC PR 103993).
target_compile_options(composed_flags INTERFACE -Wno-missing-field-initializers -Wno-mismatched-new-delete
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread>)
# g++ collects garbage once it has 128 MiB, again and again: a tenth of the time with Asio's coroutines.
target_compile_options(composed_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=600000>)
# For ccache, which else sees neither a precompiled header nor what is in it.
target_compile_options(composed_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
if(COMPOSED_WERROR)
    target_compile_options(composed_flags INTERFACE -Werror)
endif()
if(COMPOSED_SANITIZE)
    add_compile_options(-fsanitize=${COMPOSED_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${COMPOSED_SANITIZE})
endif()
