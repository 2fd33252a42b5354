unit_test(compose/load
    SOURCES interpolate_test.cpp loader_test.cpp syntax_test.cpp
    LINKS compose_load compose_encode)
