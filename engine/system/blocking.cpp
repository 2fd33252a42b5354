#include "engine/system/blocking.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <spdlog/spdlog.h>

#include <exception>

namespace engine {

void spawn(boost::asio::io_context& io, std::string name, task<> work) {
    boost::asio::co_spawn(io, std::move(work), [name = std::move(name)](std::exception_ptr escaped) {
        if (!escaped)
            return;
        try {
            std::rethrow_exception(escaped);
        } catch (const boost::system::system_error& failure) {
            if (failure.code() != boost::asio::error::operation_aborted)
                spdlog::error("{}: {}", name, failure.what());
        } catch (const std::exception& failure) {
            spdlog::error("{}: {}", name, failure.what());
        }
    });
}

} // namespace engine
