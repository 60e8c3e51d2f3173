#include "examples/load/sender.hpp"

#include <signal.h>
#include <sys/socket.h>

#include <utility>  // before Asio, which in Boost 1.74 forgets it

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <system_error>

namespace examples {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kAnswerTime{5};
/// Beyond this many connections requests wait for one, and are late.
constexpr std::size_t kConnectionsMax = 512;

class Sender;

/// A keep-alive connection with at most one request on it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(Sender& sender);
  tcp::socket& socket() { return socket_; }
  /// Returns who answered here last; 0 before the first answer.
  [[nodiscard]] pid_t worker() const { return worker_; }
  [[nodiscard]] std::int64_t opened_ns() const { return opened_ns_; }
  /// Says whether the other side has not closed, as far as is known here.
  [[nodiscard]] bool is_open();
  void connect_and_send(std::size_t request);
  void send(std::size_t request);

 private:
  void finish(std::size_t request, error_code error);

  Sender& sender_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
  std::string request_;
  http::response<http::string_body> response_;
  std::int64_t opened_ns_;
  pid_t worker_ = 0;
};

class Sender {
 public:
  Sender(const Schedule& schedule, const SenderOptions& options)
      : schedule_(schedule), options_(options), timer_(io_), end_(io_) {
    for (const Arrival& arrival : schedule.arrivals) {
      recording_.records.emplace_back();
      recording_.records.back().client = arrival.client;
      recording_.records.back().scheduled_ns = arrival.at_ns;
    }
  }

  Recording run() {
    for (std::size_t i = 0; i < options_.connections; ++i) {
      idle_.push_back(open_connection());
      idle_.back()->socket().connect(server());
    }
    start_ = Clock::now();
    wait_for_next();
    end_.expires_at(start_ + at(schedule_.arrivals.back()) + kAnswerTime);
    end_.async_wait([this](error_code) { io_.stop(); });
    io_.run();
    recording_.workers = workers_.size();
    return std::move(recording_);
  }

  asio::io_context& io() { return io_; }
  [[nodiscard]] tcp::endpoint server() const {
    return {asio::ip::address_v4::loopback(), options_.port};
  }
  [[nodiscard]] std::int64_t now_ns() const { return (Clock::now() - start_).count(); }
  [[nodiscard]] const std::string& client_of(std::size_t request) const {
    return schedule_.clients[schedule_.arrivals[request].client];
  }
  Record& record(std::size_t request) { return recording_.records[request]; }

  /// Takes back a connection after its request has ended.
  void done(std::size_t request, const std::shared_ptr<Connection>& connection, bool keep) {
    Record& record = recording_.records[request];
    if (record.end == Record::End::answered) workers_.insert(connection->worker());
    if (++ended_ == recording_.records.size()) io_.stop();
    if (!keep) {
      --open_;
    } else if (late_.empty()) {
      idle_.push_back(connection);
      return;
    }
    if (late_.empty()) return;
    const std::size_t next = late_.front();
    late_.pop_front();
    if (keep) return connection->send(next);
    dispatch(next);
  }

  /// Says whether a connection that broke did so because we killed its worker.
  [[nodiscard]] bool was_killed(const Connection& connection) const {
    return connection.opened_ns() < killed_ns_ &&
           (connection.worker() == 0 || connection.worker() == options_.kill_half_way);
  }

 private:
  static std::chrono::nanoseconds at(const Arrival& arrival) {
    return std::chrono::nanoseconds(arrival.at_ns);
  }

  std::shared_ptr<Connection> open_connection() {
    ++open_;
    ++recording_.connections;
    return std::make_shared<Connection>(*this);
  }

  void wait_for_next() {
    if (next_ == schedule_.arrivals.size()) return;
    timer_.expires_at(start_ + at(schedule_.arrivals[next_]));
    timer_.async_wait([this](error_code) {
      const std::int64_t now = now_ns();
      while (next_ < schedule_.arrivals.size() && schedule_.arrivals[next_].at_ns <= now)
        dispatch(next_++);
      if (killed_ns_ < 0 && now >= schedule_.arrivals.back().at_ns / 2) kill_worker();
      wait_for_next();
    });
  }

  void dispatch(std::size_t request) {
    while (!idle_.empty()) {
      const std::shared_ptr<Connection> connection = idle_.front();
      idle_.pop_front();
      if (connection->is_open()) return connection->send(request);
      --open_;
    }
    if (open_ < kConnectionsMax) return open_connection()->connect_and_send(request);
    late_.push_back(request);
  }

  void kill_worker() {
    if (options_.kill_half_way == 0) return;
    if (::kill(options_.kill_half_way, SIGKILL) != 0) {
      throw std::runtime_error("cannot kill process " + std::to_string(options_.kill_half_way) +
                               ": " + std::generic_category().message(errno));
    }
    killed_ns_ = now_ns();
  }

  const Schedule& schedule_;
  const SenderOptions& options_;
  asio::io_context io_{1};
  asio::steady_timer timer_;
  asio::steady_timer end_;
  Clock::time_point start_;
  Recording recording_;
  std::deque<std::shared_ptr<Connection>> idle_;  ///< used in turn, so that all workers are
  std::deque<std::size_t> late_;
  std::set<pid_t> workers_;
  std::size_t open_ = 0;
  std::size_t next_ = 0;
  std::size_t ended_ = 0;
  std::int64_t killed_ns_ = -1;
};

Connection::Connection(Sender& sender)
    : sender_(sender), socket_(sender.io()), opened_ns_(sender.now_ns()) {}

bool Connection::is_open() {
  char byte = 0;
  return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EINTR);
}

void Connection::connect_and_send(std::size_t request) {
  socket_.async_connect(sender_.server(), [self = shared_from_this(), request](error_code error) {
    if (error) return self->finish(request, error);
    self->send(request);
  });
}

void Connection::send(std::size_t request) {
  request_ = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: " + sender_.client_of(request) +
             "\r\n\r\n";
  response_ = {};
  const auto self = shared_from_this();
  sender_.record(request).sent_ns = sender_.now_ns();
  asio::async_write(
      socket_, asio::buffer(request_), [self, request](error_code write_error, std::size_t) {
        if (write_error) return self->finish(request, write_error);
        http::async_read(
            self->socket_, self->buffer_, self->response_,
            [self, request](error_code error, std::size_t) { self->finish(request, error); });
      });
}

void Connection::finish(std::size_t request, error_code error) {
  Record& record = sender_.record(request);
  record.ended_ns = sender_.now_ns();
  if (error) {
    const bool was_sent = record.sent_ns != 0;
    if (was_sent && sender_.was_killed(*this)) record.end = Record::End::lost_at_kill;
    return sender_.done(request, shared_from_this(), false);
  }
  record.end = Record::End::answered;
  record.status = static_cast<int>(response_.result_int());
  const auto worker = response_["Worker"];
  worker_ = 0;
  (void)std::from_chars(worker.data(), worker.data() + worker.size(), worker_);
  sender_.done(request, shared_from_this(), response_.keep_alive());
}

}  // namespace

Recording send_schedule(const Schedule& schedule, const SenderOptions& options) {
  try {
    return Sender(schedule, options).run();
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error("nobody answers on 127.0.0.1:" + std::to_string(options.port) + ": " +
                             e.code().message() + "; start prefork_server and give its --port");
  }
}

}  // namespace examples
