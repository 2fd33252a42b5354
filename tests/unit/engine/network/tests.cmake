unit_test(engine/network
    SOURCES address_test.cpp dns_replies_test.cpp dns_socket_pool_test.cpp dns_test.cpp link_audit_test.cpp name_index_test.cpp
        other_firewalls_test.cpp
    LINKS engine_network)
