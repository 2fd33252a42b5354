unit_test(engine/store
    SOURCES repair_test.cpp store_test.cpp
    LINKS engine_store)
