#include "examples/prefork_server/worker.hpp"

#include <signal.h>
#include <unistd.h>

#include <utility>  // before Asio, which in Boost 1.74 forgets it

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <ctime>
#include <memory>
#include <optional>
#include <unordered_set>

namespace examples {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

class Connection;

/// What the connections of a worker share.
struct Shared {
  explicit Shared(const WorkerOptions& o) : options(o), limiter(o.limiter) {}
  const WorkerOptions& options;
  rl::Limiter limiter;
  bool stopping = false;
  std::unordered_set<Connection*> connections;
  asio::io_context io{1};  ///< goes first: it holds the last connections
};

/// Returns the time as RFC 9110, section 5.6.7 wants it.
std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

/// One connection: reads a request, answers it, and so on until either side closes.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shared& shared, tcp::socket socket, asio::ip::address peer)
      : shared_(shared), stream_(std::move(socket)), peer_(std::move(peer)) {
    shared_.connections.insert(this);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    shared_.connections.erase(this);
    if (shared_.stopping && shared_.connections.empty()) shared_.io.stop();
  }

  void read_request() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(kBodyBytesMax);
    stream_.expires_after(kRequestTime);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (error) return self->refuse(error);
                              self->on_header();
                            });
  }

  /// Closes the connection if no request has begun; else it closes after its answer.
  void stop() {
    error_code error;
    const bool between = parser_ && !parser_->got_some() && buffer_.size() == 0;
    if (between && stream_.socket().available(error) == 0) stream_.close();
  }

 private:
  using Request = http::request<http::string_body>;
  using Response = http::response<http::string_body>;

  void on_header() {
    if (parser_->is_done()) return answer();
    // A client that waits for "100 Continue" gets its final answer instead (RFC 9110, 10.1.1): no
    // resource here wants content.
    if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
      parser_->get().keep_alive(false);
      return answer();
    }
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (error) return self->refuse(error);
                       self->answer();
                     });
  }

  /// Answers what cannot be read as a request, if anybody is still there to hear it.
  void refuse(error_code error) {
    static const auto& http_errors = make_error_code(http::error::bad_method).category();
    if (error == http::error::end_of_stream || error == http::error::partial_message) return;
    if (error.category() != http_errors) return;  // a timeout or a lost connection
    Response response(http::status::bad_request, 11);
    if (error == http::error::header_limit)
      response.result(http::status::request_header_fields_too_large);
    if (error == http::error::body_limit) response.result(http::status::payload_too_large);
    response.body() = error.message() + '\n';
    response.keep_alive(false);
    send(std::move(response));
  }

  /// Says what is wrong with a request that the parser let through, or returns null.
  static const char* flaw(const Request& request) {
    const auto hosts = request.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && request.version() == 11))  // RFC 9112, section 3.2
      return "a request needs exactly one Host field\n";
    // RFC 9112, section 6.3: where such a request ends is anybody's guess.
    if (request.count(http::field::transfer_encoding) != 0 && !request.chunked())
      return "no transfer coding but chunked is known here\n";
    const auto target = request.target();
    if (request.method() != http::verb::options && !target.starts_with('/') &&
        !target.starts_with("http://"))
      return "the target is neither a path nor a URL\n";
    return nullptr;
  }

  void answer() {
    const Request& request = parser_->get();
    const bool is_head = request.method() == http::verb::head;
    Response response(http::status::ok, request.version());
    response.keep_alive(request.keep_alive() && !shared_.stopping);
    if (const char* what = flaw(request)) {
      response.result(http::status::bad_request);
      response.body() = what;
      response.keep_alive(false);
    } else if (!is_head && request.method() != http::verb::get) {
      response.result(http::status::method_not_allowed);
      response.set(http::field::allow, "GET, HEAD");
      response.body() = "only GET and HEAD\n";
    } else {
      decide(request, response);
    }
    send(std::move(response), is_head);
  }

  /// Charges the client and says how it stands.
  void decide(const Request& request, Response& response) {
    std::string forwarded_for;
    const auto fields = request.equal_range("X-Forwarded-For");
    for (auto field = fields.first; field != fields.second; ++field) {
      if (!forwarded_for.empty()) forwarded_for += ',';
      forwarded_for.append(field->value().data(), field->value().size());
    }
    const WorkerOptions& options = shared_.options;
    const rl::Decision decision = shared_.limiter.try_acquire(
        client_key(peer_, forwarded_for, options.trusted, options.prefix));
    const rl::Limit limit = shared_.limiter.limit();
    char buffer[rl::http::kFieldMax];
    const auto say = [&](const char* field, std::string_view value) {
      if (!value.empty()) response.set(field, {value.data(), value.size()});
    };
    say("RateLimit-Policy", rl::http::ratelimit_policy(options.policy, limit, buffer));
    say("RateLimit", rl::http::ratelimit(options.policy, limit, decision, buffer));
    response.body() = "allowed\n";
    if (decision) return;
    response.result(http::status::too_many_requests);
    say("Retry-After", rl::http::retry_after(decision, buffer));
    response.body() = "too many requests\n";
  }

  void send(Response response, bool is_head = false) {
    response.set(http::field::date, http_date());
    response.set("Worker", std::to_string(::getpid()));  // shows that the workers share one limit
    response.set(http::field::content_type, "text/plain");
    response.content_length(response.body().size());
    if (is_head) response.body().clear();
    response_ = std::move(response);
    stream_.expires_after(kRequestTime);
    http::async_write(stream_, *response_,
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (error) return;
                        if (!self->response_->keep_alive() || self->shared_.stopping)
                          return self->linger();
                        self->read_request();
                      });
  }

  /// Ends our side and reads what is still under way: closing over unread bytes would reset the
  /// connection, and the reset may overtake the answer.
  void linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(1));
    discard();
  }

  void discard() {
    stream_.async_read_some(asio::buffer(discarded_),
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (!error) self->discard();  // ends: expires_after
                            });
  }

  Shared& shared_;
  beast::tcp_stream stream_;
  asio::ip::address peer_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<Response> response_;
  char discarded_[4096];
};

/// Accepts until stopped. A worker out of descriptors tries again a little later.
class Acceptor {
 public:
  explicit Acceptor(Shared& shared)
      : shared_(shared),
        acceptor_(shared.io, tcp::v4(), shared.options.listener),
        pause_(shared.io) {}

  void accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (shared_.stopping) return;
      if (!error) {
        start(std::move(socket));
        return accept();
      }
      pause_.expires_after(std::chrono::milliseconds(50));
      pause_.async_wait([this](error_code) {
        if (!shared_.stopping) accept();
      });
    });
  }

  void close() {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

 private:
  void start(tcp::socket socket) {
    error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return;  // gone already
    socket.set_option(tcp::no_delay(true), error);
    std::make_shared<Connection>(shared_, std::move(socket), peer.address())->read_request();
  }

  Shared& shared_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
};

}  // namespace

void serve(const WorkerOptions& options) {
  Shared shared(options);
  Acceptor acceptor(shared);
  asio::steady_timer deadline(shared.io);
  asio::signal_set term(shared.io, SIGTERM);
  term.async_wait([&](error_code, int) {
    shared.stopping = true;
    acceptor.close();
    if (shared.connections.empty()) return shared.io.stop();
    for (Connection* connection : shared.connections) connection->stop();
    deadline.expires_after(kStopTime);
    deadline.async_wait([&](error_code) { shared.io.stop(); });
  });
  sigset_t heard;
  ::sigemptyset(&heard);
  ::sigaddset(&heard, SIGTERM);
  ::sigprocmask(SIG_UNBLOCK, &heard, nullptr);
  acceptor.accept();
  shared.io.run();
}

}  // namespace examples
