unit_test(engine/system
    SOURCES file_test.cpp folder_watch_test.cpp blocking_test.cpp mount_test.cpp
    LINKS engine_system)
