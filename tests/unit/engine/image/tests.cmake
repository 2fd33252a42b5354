unit_test(engine/image
    SOURCES
        archive_test.cpp
        auth_challenge_test.cpp
        byte_source_test.cpp
        chunk_queue_test.cpp
        config_test.cpp
        hostile_layer_test.cpp
        image_fixture.cpp
        image_store_test.cpp
        layer_fixture.cpp
        layer_test.cpp
        manifest_test.cpp
        pull_test.cpp
        reference_test.cpp
        registry_test.cpp
        scripted_server.cpp
        tar_builder.cpp
    LINKS engine_image)
target_compile_definitions(engine_image_test PRIVATE
    COMPOSED_MAKE_BUSYBOX="${CMAKE_SOURCE_DIR}/tests/images/make-busybox.sh")
