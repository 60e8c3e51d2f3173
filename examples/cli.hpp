/// \file
/// What the example programs share: a command line whose errors are one sentence.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

namespace examples {

/// Reads the command line and runs `body`, whose result is the exit code. Whatever throws ends in
/// one sentence on standard error and 2.
template <class Body>
int run(CLI::App& app, int argc, char** argv, Body&& body) {
  try {
    app.parse(argc, argv);
    return body();
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    std::fprintf(stderr, "%s: %s (--help lists the options)\n", app.get_name().c_str(), e.what());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), e.what());
  }
  return 2;
}

}  // namespace examples
