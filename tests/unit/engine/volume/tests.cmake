unit_test(engine/volume
    SOURCES copy_up_test.cpp sealer_test.cpp secret_store_test.cpp volume_store_test.cpp
    LINKS engine_volume)
