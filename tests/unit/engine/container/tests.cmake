unit_test(engine/container
    SOURCES
        health_test.cpp
        limits_test.cpp
        logs_test.cpp
        oci_spec_test.cpp
        restart_test.cpp
        runtime_exec_test.cpp
        runtime_fixture.cpp
        runtime_test.cpp
        user_ids_test.cpp
        user_test.cpp
    LINKS engine_container)
target_compile_definitions(engine_container_test PRIVATE COMPOSED_SHIM="$<TARGET_FILE:composed-shim>")
add_dependencies(engine_container_test composed-shim)
