unit_test(engine/project
    SOURCES plan_test.cpp
    LINKS engine_project compose_load)
