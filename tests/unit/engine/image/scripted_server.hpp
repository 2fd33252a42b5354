#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace engine {

struct seen_request {
    std::string target;
    std::map<std::string, std::string> headers; // names in lower case
};

/// An HTTP server on a loopback port that answers as a test wants, rightly or wrongly: the answer is sent as
/// it is, byte by byte, and then the connection is closed.
class scripted_server {
  public:
    using script = std::function<std::string(const seen_request&)>;

    explicit scripted_server(script answers);
    ~scripted_server();

    std::string address() const; // 127.0.0.1:PORT
    std::vector<seen_request> requests() const;

  private:
    void serve();
    void answer(int connection);

    script answers_;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> ends_ = false;
    mutable std::mutex mutex_;
    std::vector<seen_request> requests_;
    std::thread thread_;
};

/// A whole answer with its length.
std::string answer(int status, const std::string& body, const std::string& more_headers = {});

} // namespace engine
