unit_test(engine/store
    SOURCES store_test.cpp
    LINKS engine_store)
