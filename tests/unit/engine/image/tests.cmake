unit_test(engine/image
    SOURCES image_test.cpp unpack_test.cpp
    LINKS engine_image)
