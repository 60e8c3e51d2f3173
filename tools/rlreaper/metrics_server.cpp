#include "tools/rlreaper/metrics_server.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <utility>  // before Asio, which in Boost 1.74 forgets it

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include <rl/error.hpp>

#include "tools/metrics/exposition.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::reaper {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr std::size_t kConnectionsMax = 32;
constexpr std::uint32_t kHeadBytesMax = 8'192;
constexpr auto kTime = 10s;  ///< of a connection from its beginning to its end
constexpr auto kAcceptAgain = 100ms;

using Text = std::shared_ptr<const std::string>;

class Connection;

/// What the connections of a server share. All but `text` and `answers` is of the server's thread.
struct Shared {
  std::mutex mutex;
  Text text;  ///< under the mutex
  std::atomic<std::uint64_t> answers{0};
  std::list<Connection*> connections;  ///< the oldest first
  asio::io_context io{1};              ///< goes first: it holds the last connections
};

tcp::endpoint endpoint_of(const ListenAt& at, bool has_ipv6) {
  if (!at.address.empty()) return {asio::ip::make_address(at.address), at.port};
  return {has_ipv6 ? tcp::v6() : tcp::v4(), at.port};
}

/// "All" is IPv6 with IPv4 in it, where there is IPv6.
tcp::acceptor listen(asio::io_context& io, const ListenAt& at) {
  tcp::acceptor acceptor(io);
  error_code error;
  tcp::endpoint endpoint = endpoint_of(at, true);
  acceptor.open(endpoint.protocol(), error);
  if (error && at.address.empty()) {
    endpoint = endpoint_of(at, false);
    acceptor.open(endpoint.protocol(), error);
  }
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && at.address.empty() && endpoint.protocol() == tcp::v6())
    acceptor.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) {
    throw Error(Errc::system,
                fmt::format("listening on {}:{}: {}", at.address, at.port, error.message()));
  }
  return acceptor;
}

/// Reads one request, answers it, and ends.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shared& shared, tcp::socket socket)
      : shared_(shared),
        stream_(std::move(socket)),
        place_(shared_.connections.insert(shared_.connections.end(), this)) {
    parser_.header_limit(kHeadBytesMax);
    stream_.expires_after(kTime);  // for all that comes: nothing sets it anew
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { leave(); }

  void begin() {
    http::async_read_header(
        stream_, buffer_, parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
  }

  void end() {
    leave();
    stream_.close();
  }

 private:
  using Request = http::request<http::empty_body>;
  using Response = http::response<http::span_body<const char>>;

  void leave() noexcept {
    if (is_listed_) shared_.connections.erase(place_);
    is_listed_ = false;
  }

  void on_header(error_code error) {
    static const auto& http_errors = make_error_code(http::error::bad_method).category();
    if (!error) return answer(parser_.get());
    if (error == http::error::header_limit)
      return refuse(http::status::request_header_fields_too_large, "the request is too long\n");
    const bool is_gone = error == http::error::end_of_stream ||
                         error == http::error::partial_message || error.category() != http_errors;
    if (!is_gone) refuse(http::status::bad_request, "this is no request of HTTP\n");
  }

  void answer(const Request& request) {
    is_head_ = request.method() == http::verb::head;
    const std::string_view target(request.target().data(), request.target().size());
    const auto hosts = request.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && request.version() == 11))  // RFC 9112, section 3.2
      return refuse(http::status::bad_request, "a request needs exactly one Host field\n");
    if (target.substr(0, target.find('?')) != "/metrics")
      return refuse(http::status::not_found, "there is only /metrics\n");
    if (!is_head_ && request.method() != http::verb::get) {
      response_.set(http::field::allow, "GET, HEAD");
      return refuse(http::status::method_not_allowed, "only GET and HEAD\n");
    }
    {
      const std::lock_guard lock(shared_.mutex);
      text_ = shared_.text;
    }
    shared_.answers.fetch_add(1, std::memory_order_relaxed);  // a count for people
    response_.set(http::field::content_type, metrics::kContentType);
    send(*text_);
  }

  void refuse(http::status status, std::string_view why) {
    response_.result(status);
    response_.set(http::field::content_type, "text/plain");
    send(why);
  }

  /// To HEAD without the body, of which the length is told.
  void send(std::string_view body) {
    response_.set(http::field::server, "rlreaper");
    response_.set(http::field::date, fmt::format("{:%a, %d %b %Y %H:%M:%S GMT}",
                                                 fmt::gmtime(std::chrono::system_clock::now())));
    response_.keep_alive(false);
    response_.body() = {body.data(), body.size()};
    response_.prepare_payload();
    serializer_.emplace(response_);
    serializer_->split(is_head_);
    const auto sent = [self = shared_from_this()](error_code error, std::size_t) {
      if (!error) self->drain();
    };
    if (is_head_) {
      http::async_write_header(stream_, *serializer_, sent);
    } else {
      http::async_write(stream_, *serializer_, sent);
    }
  }

  /// To end while there is something to read would take the answer back.
  void drain() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(kHeadBytesMax),
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (!error) self->drain();  // ends: by the client, or by the time
                            });
  }

  Shared& shared_;
  beast::tcp_stream stream_;
  std::list<Connection*>::iterator place_;
  bool is_listed_ = true;
  bool is_head_ = false;
  beast::flat_buffer buffer_;
  http::request_parser<http::empty_body> parser_;
  Text text_;
  Response response_{http::status::ok, 11};
  std::optional<http::serializer<false, http::span_body<const char>>> serializer_;
};

[[noreturn]] void fail_to_read(std::string_view what, std::string_view text) {
  throw Error(Errc::bad_option,
              fmt::format("{} \"{}\": give an address in digits and a port, such as "
                          "127.0.0.1:9464, [::1]:9464, or :9464 for all addresses",
                          what, text));
}

}  // namespace

ListenAt parse_listen_at(std::string_view what, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || text.substr(colon + 1).find_first_not_of("0123456789") != text.npos)
    fail_to_read(what, text);
  std::string address(text.substr(0, colon));
  const bool has_brackets = address.size() > 2 && address.front() == '[' && address.back() == ']';
  if (has_brackets) address = address.substr(1, address.size() - 2);
  if (!address.empty()) {
    error_code error;
    const asio::ip::address read = asio::ip::make_address(address, error);
    if (error || read.is_v6() != has_brackets) fail_to_read(what, text);
  }
  return {address,
          static_cast<std::uint16_t>(ctl::parse_count(what, text.substr(colon + 1), 65'535))};
}

struct MetricsServer::Inside {
  Inside(const ListenAt& at, std::string text) : acceptor(listen(shared.io, at)), timer(shared.io) {
    shared.text = std::make_shared<const std::string>(std::move(text));
    accept();
    thread = std::thread([this] { run(); });
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() {
    shared.io.stop();
    thread.join();
  }

  /// What a connection cannot do, for want of memory, ends that connection.
  void run() noexcept {
    while (!shared.io.stopped()) {  // ends: when it is stopped, as it always accepts
      try {
        shared.io.run();
      } catch (const std::exception&) {
      }
    }
  }

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error) return accept_later();
      accept();
      if (shared.connections.size() >= kConnectionsMax) shared.connections.front()->end();
      std::make_shared<Connection>(shared, std::move(socket))->begin();
    });
  }

  /// As there are no descriptors left, say.
  void accept_later() {
    timer.expires_after(kAcceptAgain);
    timer.async_wait([this](error_code) { accept(); });
  }

  Shared shared;
  tcp::acceptor acceptor;
  asio::steady_timer timer;
  std::thread thread;
};

MetricsServer::MetricsServer(const ListenAt& at, std::string text)
    : inside_(std::make_unique<Inside>(at, std::move(text))) {}

MetricsServer::~MetricsServer() = default;

void MetricsServer::publish(std::string text) {
  auto fresh = std::make_shared<const std::string>(std::move(text));
  const std::lock_guard lock(inside_->shared.mutex);
  inside_->shared.text.swap(fresh);
}

std::string MetricsServer::where() const {
  error_code error;
  const tcp::endpoint endpoint = inside_->acceptor.local_endpoint(error);
  const std::string address = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port())
                                    : fmt::format("{}:{}", address, endpoint.port());
}

std::uint64_t MetricsServer::answers() const noexcept {
  return inside_->shared.answers.load(std::memory_order_relaxed);  // a count for people
}

}  // namespace rl::reaper
