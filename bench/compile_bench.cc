// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// compile.hello: what compiling a program with one service of one method takes, with the flags of a release; a program
// that includes protobuf's message.h and nothing else. /memory: the compiler's largest size for the two. compile.method:
// what each further method adds, up to 100; /memory: the same. Of these the limits are the figures that are asked for.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "bench.hh"
#include "measure.hh"

namespace bench {
namespace {

std::string program(int methods) {
  std::string members;
  std::string described;
  std::string calls;
  for (int i = 0; i < methods; ++i) {
    const auto n = std::to_string(i);
    members +=
        "  atoll::future<std::int64_t> add" + n +
        "(std::string name, std::int64_t by) { return atoll::make_ready_future<std::int64_t>(totals_[name] += by + " +
        n + "); }\n";
    described += ", ATOLL_METHOD(add" + n + ", key(name), by)";
    calls += "  co_await counters.add" + n + "(\"hits\", 5);\n";
  }
  return "#include <atoll/sharding/app.hh>\n#include <atoll/sharding/sharded.hh>\n#include <unordered_map>\n"
         "class counter {\n public:\n" +
         members +
         " private:\n  std::unordered_map<std::string, std::int64_t> totals_;\n};\n"
         "ATOLL_SERVICE(counter, \"demo.v1.Counter\"" +
         described +
         ");\n"
         "atoll::future<int> serve() {\n  atoll::sharded<counter> counters;\n  co_await counters.start();\n" +
         calls +
         "  co_await counters.stop();\n  co_return 0;\n}\n"
         "int main(int argc, char** argv) {\n  atoll::app app(\"counterd\", \"Counts things.\");\n"
         "  return app.run(argc, argv, [] { return serve(); });\n}\n";
}

struct cost {
  double seconds = 0;
  double megabytes = 0;
};

cost compile(const std::string& text) {
  std::string folder = "/tmp/atoll-compile-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no folder to compile in");
  const std::string source = folder + "/hello.cc";
  std::ofstream(source) << text;
  const std::string include = std::string("-I") + ATOLL_BENCH_INCLUDE;
  std::vector<std::string> words{ATOLL_BENCH_COMPILER, "-std=c++20", "-O2", "-DFMT_SHARED", include, "-c", source, "-o",
                                 folder + "/hello.o"};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const auto begin = steady_ns();
  const bool spawned = ::posix_spawn(&child, ATOLL_BENCH_COMPILER, nullptr, nullptr, arguments.data(), environ) == 0;
  int status = -1;
  rusage used{};
  if (spawned) ::wait4(child, &status, 0, &used);
  const double seconds = static_cast<double>(steady_ns() - begin) / 1e9;
  ::unlink((folder + "/hello.o").c_str());
  ::unlink(source.c_str());
  ::rmdir(folder.c_str());
  if (status != 0) throw std::runtime_error("the compiler failed");
  return {seconds, static_cast<double>(used.ru_maxrss) / 1024};  // of the compiler proper, which the driver waited for
}

cost compile(int methods) { return compile(program(methods)); }
cost compile_protobuf() { return compile("#include <google/protobuf/message.h>\n"); }

constexpr int methods_more = 99;

cost of_a_method() {
  const cost one = compile(1);
  const cost all = compile(1 + methods_more);
  return {(all.seconds - one.seconds) / methods_more, (all.megabytes - one.megabytes) / methods_more};
}

}  // namespace

std::vector<benchmark> compile_benches() {
  constexpr double hello_s = 2.0;
  constexpr double hello_mb = 200;
  constexpr double method_s = 0.1;
  constexpr double method_mb = 2;
  return {{"compile.hello", "s", [] { return pair{compile(1).seconds, compile_protobuf().seconds}; },
           value_at_most(hello_s)},
          {"compile.hello/memory", "MB", [] { return pair{compile(1).megabytes, compile_protobuf().megabytes}; },
           value_at_most(hello_mb)},
          {"compile.method", "s", [] { return pair{of_a_method().seconds, method_s}; }, value_at_most(method_s)},
          {"compile.method/memory", "MB", [] { return pair{of_a_method().megabytes, method_mb}; },
           value_at_most(method_mb)}};
}

}  // namespace bench
