# Warnings, sanitizers and the optional faster tools, for every target of the project.

option(COMPOSED_WERROR "warnings are errors" ON)
set(COMPOSED_SANITIZE "" CACHE STRING "list for -fsanitize, empty for none")

find_program(COMPOSED_CCACHE ccache)
if(COMPOSED_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${COMPOSED_CCACHE})
endif()

find_program(COMPOSED_MOLD mold)
if(COMPOSED_MOLD)
    add_link_options(-fuse-ld=mold)
endif()

add_library(composed_flags INTERFACE)
target_compile_options(composed_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -fno-plt)
if(COMPOSED_WERROR)
    target_compile_options(composed_flags INTERFACE -Werror)
endif()
if(COMPOSED_SANITIZE)
    add_compile_options(-fsanitize=${COMPOSED_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${COMPOSED_SANITIZE})
endif()
