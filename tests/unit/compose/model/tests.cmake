unit_test(compose/model
    SOURCES cron_test.cpp
    LINKS compose_model)
