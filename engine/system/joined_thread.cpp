#include "engine/system/joined_thread.hpp"

#include <exception>
#include <thread>

namespace engine {

void on_joined_thread(const std::function<void()>& work) {
    std::exception_ptr failure;
    std::thread([&] {
        try {
            work();
        } catch (...) {
            failure = std::current_exception();
        }
    }).join();
    if (failure)
        std::rethrow_exception(failure);
}

} // namespace engine
