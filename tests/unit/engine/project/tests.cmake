unit_test(engine/project
    SOURCES operation_queue_test.cpp plan_runner_test.cpp plan_test.cpp up_waiter_test.cpp
    LINKS engine_project compose_load)
