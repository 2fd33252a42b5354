# Debian 12's packages; docker/install-deps.sh installs them.

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(ZLIB REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(libarchive REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(libmount REQUIRED IMPORTED_TARGET mount)
pkg_check_modules(libnl REQUIRED IMPORTED_TARGET libnl-3.0 libnl-route-3.0 libnl-nf-3.0)
pkg_check_modules(nftables REQUIRED IMPORTED_TARGET libnftables)
find_library(LDNS_LIBRARY ldns REQUIRED)
add_library(ldns INTERFACE)
target_link_libraries(ldns INTERFACE ${LDNS_LIBRARY})

# Asio and Beast are compiled once, in engine/system/asio.cpp and api/http/beast.cpp; everywhere else only declarations.
add_library(asio INTERFACE)
target_compile_definitions(asio INTERFACE
    BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_BEAST_SEPARATE_COMPILATION
    BOOST_ASIO_DISABLE_BOOST_ARRAY BOOST_ASIO_DISABLE_BOOST_BIND)
target_link_libraries(asio INTERFACE Boost::headers Threads::Threads)
