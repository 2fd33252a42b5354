# One library a folder. A library sees the headers of its own folder and of the libraries it links, and no others:
# each exports an include root that holds one link to its folder, so an include against the design does not compile.

# folder_library(NAME SOURCES files… [LINKS libraries…])
#   NAME is the folder with '/' written as '_': engine/image is engine_image.
function(folder_library name)
    cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
    file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    set(root ${CMAKE_BINARY_DIR}/include/${name})
    cmake_path(GET folder PARENT_PATH parent)
    file(MAKE_DIRECTORY ${root}/${parent})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${folder} SYMBOLIC)

    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PUBLIC ${root})
    target_link_libraries(${name} PUBLIC ${arg_LINKS} PRIVATE composed_flags)
    use_precompiled_header(${name} standard_library)

    file(GLOB headers CONFIGURE_DEPENDS *.hpp)
    check_headers(${name} ${root} ${folder} ${headers})
endfunction()

# Every header compiles by itself (target check_headers): what it uses, it includes.
add_custom_target(check_headers)
function(check_headers name root folder)
    set(sources)
    foreach(header ${ARGN})
        cmake_path(GET header FILENAME file)
        set(source ${CMAKE_BINARY_DIR}/header_checks/${folder}/${file}.cpp)
        file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${folder}/${file}\"\n")
        list(APPEND sources ${source})
    endforeach()
    if(sources)
        add_library(${name}_headers OBJECT EXCLUDE_FROM_ALL ${sources})
        target_link_libraries(${name}_headers PRIVATE ${name} composed_flags)
        add_dependencies(check_headers ${name}_headers)
    endif()
endfunction()
