unit_test(compose/load
    SOURCES contents_test.cpp interpolate_test.cpp loader_test.cpp merge_test.cpp mistakes_test.cpp syntax_test.cpp values_test.cpp
    LINKS compose_load compose_encode)
