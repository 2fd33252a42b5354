unit_test(engine/project
    SOURCES model_test.cpp model_world.cpp operation_queue_test.cpp plan_runner_test.cpp plan_test.cpp pull_policy_test.cpp shutdown_test.cpp up_waiter_test.cpp
    LINKS engine_project compose_load)
