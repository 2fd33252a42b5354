unit_test(engine/project
    SOURCES container_life_test.cpp dependency_verdict_test.cpp model_events.cpp model_test.cpp model_world.cpp operation_queue_test.cpp plan_runner_test.cpp plan_test.cpp plan_update_test.cpp preparations_test.cpp
        pull_policy_test.cpp shutdown_test.cpp up_waiter_test.cpp
    LINKS engine_project compose_load)
# Hundreds of thousands of steps a run.
set_source_files_properties(engine/project/model_events.cpp engine/project/model_world.cpp engine/project/model_test.cpp PROPERTIES COMPILE_OPTIONS -O2
    SKIP_PRECOMPILE_HEADERS ON) # which are for -O0
