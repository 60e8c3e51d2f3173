/// \file
/// Limits inside web servers and proxies: the CPU time that they add to a request, which is then
/// answered with nothing.
#include <unistd.h>

#include <fstream>

#include "bench/peers/turns.hpp"

namespace rl::bench {
namespace {

/// A server with two sockets: requests to one are limited, to the other not.
class Proxy {
 public:
  Proxy(const Server& server, const std::string& plain, const std::string& limited,
        const std::string& good)
      : server_(server),
        wires_{server.connect(plain), server.connect(limited)},
        askers_{Asker(wires_[0], question(good)), Asker(wires_[1], question(good))} {}

  /// Takes turns with itself, too, many times a round: what is added is small beside a request.
  template <class Keys>
  Turn added(const std::string& name, Keys keys) {
    return {name, 19'200, [this, keys](std::uint64_t steps, unsigned round) {
              Keys with = keys;
              Keys without = keys;
              with.start(round);
              without.start(round);
              double sum = 0;
              for (std::uint64_t done = 0; done < steps; done += 2 * kInARow) {
                sum += time(1, with);
                sum -= time(0, without);
                sum -= time(0, without);  // the other way round: who comes second finds caches warm
                sum += time(1, with);
              }
              return sum;
            }};
  }
  template <class Keys>
  Turn plain(const std::string& name, Keys keys) {
    return {name, 19'200, [this, keys](std::uint64_t steps, unsigned round) {
              Keys mine = keys;
              mine.start(round);
              double sum = 0;
              for (std::uint64_t done = 0; done < steps; done += kInARow) sum += time(0, mine);
              return sum;
            }};
  }
  void fill(std::uint32_t keys) {
    EachKey each;
    askers_[1].ask(each, keys, kInARow);
  }

 private:
  static Question question(const std::string& good) {
    return {"HEAD /?k=", " HTTP/1.1\r\nHost: a\r\n\r\n", good, "\r\n\r\n"};
  }
  template <class Keys>
  double time(std::size_t which, Keys& keys) {
    const std::uint64_t before = server_.cpu_ns();
    askers_[which].ask(keys, kInARow, kInARow);
    return static_cast<double>(server_.cpu_ns() - before);
  }

  const Server& server_;
  Wire wires_[2];
  Asker askers_[2];
};

void add_both(Rows& rows, const std::string& peer, const std::string& what, Proxy& proxy) {
  const auto add = [&](const KeySet& set, auto keys) {
    rows.add(set, peer, {proxy.added(what + ", added", keys), proxy.plain("a bare request", keys)});
  };
  add(rows.hot(), HotKey());
  proxy.fill(rows.many().count);
  add(rows.many(), RandomKeys(rows.many().count));
}

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) throw std::runtime_error(fmt::format("{} cannot be written", path));
}

/// A configuration of nginx, or of what is made from it, that stays inside our folder. One process
/// serves, so that its CPU time is all there is.
std::string nginx_config(const Folder& folder, const std::string& name, const std::string& zone,
                         const std::string& limit, const std::string& module) {
  std::string temporary;
  for (const char* const kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    temporary += fmt::format("  {}_temp_path {};\n", kind, folder.path_of(name + "." + kind));
  return fmt::format(R"({4}daemon off;
master_process off;
pid {0}.pid;
error_log stderr error;
events {{ worker_connections 64; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
{1}  {2}
  server {{
    listen unix:{0}.plain;
    location / {{ empty_gif; }}
  }}
  server {{
    listen unix:{0}.limited;
    location / {{ {3} empty_gif; }}
  }}
}}
)",
                     folder.path_of(name), temporary, zone, limit, module);
}

void add_kind_of_nginx(Rows& rows, const std::string& program, const std::string& name,
                       const std::string& peer, const std::string& what, const std::string& zone,
                       const std::string& limit, const std::string& module = {}) {
  rows.report().note(version_of(program, "-v"));
  const std::string path = rows.folder().path_of(name);
  write(path + ".conf", nginx_config(rows.folder(), name, zone, limit, module));
  const Server server(
      {program, "-e", "stderr", "-p", rows.folder().path_of(""), "-c", path + ".conf"},
      path + ".log");
  Proxy proxy(server, path + ".plain", path + ".limited", "HTTP/1.1 200");
  add_both(rows, peer, what, proxy);
}

}  // namespace

void add_nginx(Rows& rows) {
  add_kind_of_nginx(rows, find_program("nginx", "nginx"), "nginx", "nginx", "limit_req",
                    "limit_req_zone $arg_k zone=z:256m rate=1000000r/s;",
                    "limit_req zone=z burst=1000000 nodelay;");
}

/// The module that this project has for nginx (src/bindings/nginx), on the same work; and once more
/// with the response fields, which limit_req has none of.
void add_nginx_module(Rows& rows) {
  const std::string module = RL_BENCH_NGINX_MODULE;
  if (::access(module.c_str(), R_OK) != 0)
    throw NotHere("the module for nginx is not built (Debian: nginx-dev)");
  Scratch segment({.keys = rows.many().count});
  const auto add = [&](const std::string& name, const std::string& what, const char* headers) {
    add_kind_of_nginx(
        rows, find_program("nginx", "nginx"), name, "nginx with librl", what,
        fmt::format("rl_zone z path={};", segment->path()),
        fmt::format("rl_limit z api key=$arg_k \"1000000/s burst=1000000\"; rl_headers {};",
                    headers),
        fmt::format("load_module {};\n", module));
  };
  add("nginx_plain", "rl_limit", "off");
  add("nginx_fields", "rl_limit with fields", "on");
}

void add_openresty(Rows& rows) {
  add_kind_of_nginx(rows, find_program("openresty", "no package of it"), "openresty", "OpenResty",
                    "limit.req", "lua_shared_dict store 256m;",
                    R"(access_by_lua_block {
      local limit = require("resty.limit.req").new("store", 1000000, 1000000)
      local delay, why = limit:incoming(ngx.var.arg_k, true)
      if not delay then ngx.log(ngx.ERR, why) return ngx.exit(503) end
    })");
}

void add_haproxy(Rows& rows) {
  const std::string program = find_program("haproxy", "haproxy");
  rows.report().note(version_of(program, "-v"));
  const std::string path = rows.folder().path_of("haproxy");
  write(path + ".cfg", fmt::format(R"(global
  nbthread 1
  maxconn 64
defaults
  mode http
  timeout connect 1m
  timeout client 1m
  timeout server 1m
frontend plain
  bind unix@{0}.plain
  http-request return status 200
frontend limited
  bind unix@{0}.limited
  http-request track-sc0 url_param(k) table rates
  http-request deny deny_status 429 if {{ sc0_http_req_rate(rates) gt 1000000000 }}
  http-request return status 200
backend rates
  stick-table type string len 16 size 2m expire 1h store http_req_rate(1s)
)",
                                   path));
  const Server server({program, "-db", "-f", path + ".cfg"}, path + ".log");
  Proxy proxy(server, path + ".plain", path + ".limited", "HTTP/1.1 200");
  add_both(rows, "HAProxy", "stick table", proxy);
}

}  // namespace rl::bench
