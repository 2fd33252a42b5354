unit_test(engine/shim
    SOURCES dns_redirect_test.cpp json_log_test.cpp log_forwarder_test.cpp protocol_test.cpp state_files_test.cpp
    LINKS engine_shim)
