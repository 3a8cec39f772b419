// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/simulation/testing/sim_test.hh>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include <fmt/format.h>

#include <atoll/simulation/guard.hh>

namespace atoll_root::atoll::sim {
namespace {

using body_function = std::function<void(world&)>;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const given = std::getenv(name);
  if (given == nullptr || *given == '\0') return otherwise;
  const std::string_view text(given);
  const bool hex = text.starts_with("0x");
  std::uint64_t value = 0;
  const char* const begin = text.data() + (hex ? 2 : 0);
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(begin, end, value, hex ? 16 : 10);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    std::fprintf(stderr, "%s: wants a number, not '%s'\n", name, given);
    std::exit(2);
  }
  return value;
}

std::string own_path() {
  std::array<char, 4096> path{};
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : "the test";
}

std::string test_name() {
  const auto* const info = ::testing::UnitTest::GetInstance()->current_test_info();
  return std::string(info->test_suite_name()) + "." + info->name();
}

/// What a seed's process tells: the numbers, then the snapshots.
struct report {
  std::uint64_t finished = 0;  // 1: all below is there
  std::uint64_t hash = 0;
  std::uint64_t happenings = 0;
  std::uint64_t virtual_ns = 0;
  std::uint64_t snapshots = 0;
};

/// Which happenings are traced, and where to.
struct trace_range {
  std::string file;
  std::uint64_t from = 0;
  std::uint64_t to = UINT64_MAX;
};

/// Runs a seed in this process; true where nothing went wrong.
bool run_seed(const body_function& body, const world_options& options, std::uint64_t seed, const trace_range& trace,
              report& told, std::vector<std::uint64_t>& snapshots, std::set<std::string>& points) {
  const auto* const result = ::testing::UnitTest::GetInstance()->current_test_info()->result();
  const int parts_before = result->total_part_count();  // those of other seeds, which this process was copied with
  world w(seed, options);
  std::FILE* file = nullptr;
  if (!trace.file.empty()) {
    file = std::fopen(trace.file.c_str(), "we");
    w.trace_to(file, trace.from, trace.to);
  }
  try {
    body(w);
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what();
  }
  if (file != nullptr) std::fclose(file);
  EXPECT_EQ(w.left_behind(), "") << "nodes left something behind";
  told.hash = w.past().hash();
  told.happenings = w.past().happenings();
  told.virtual_ns = static_cast<std::uint64_t>(w.elapsed().count());
  snapshots = w.past().snapshots();
  told.snapshots = snapshots.size();
  told.finished = 1;
  points = w.points_hit();
  for (int i = parts_before; i < result->total_part_count(); ++i) {
    if (result->GetTestPartResult(i).failed()) return false;
  }
  return true;
}

void write_all(int fd, const void* bytes, std::size_t size) {
  const char* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const auto n = ::write(fd, at, size);
    if (n <= 0) return;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
}

std::string read_from_start(int fd) {
  std::string text;
  struct stat of{};
  if (::fstat(fd, &of) != 0) return text;
  text.resize(static_cast<std::size_t>(of.st_size));
  const auto n = ::pread(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

void write_report(int fd, const report& told, const std::vector<std::uint64_t>& snapshots,
                  const std::set<std::string>& points) {
  write_all(fd, &told, sizeof told);
  write_all(fd, snapshots.data(), snapshots.size() * sizeof(std::uint64_t));
  for (const auto& point : points) write_all(fd, (point + "\n").data(), point.size() + 1);
}

/// Real time that a seed may take.
// Sanitizers take some ten times as long.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ATOLL_SIM_SECONDS_DEFAULT 150
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define ATOLL_SIM_SECONDS_DEFAULT 150
#endif
#endif
#ifndef ATOLL_SIM_SECONDS_DEFAULT
#define ATOLL_SIM_SECONDS_DEFAULT 60
#endif
unsigned seconds_max() { return static_cast<unsigned>(number_from("ATOLL_SIM_SECONDS", ATOLL_SIM_SECONDS_DEFAULT)); }
/// When a seed's process ends itself, where nobody else does.
unsigned alarm_after() { return seconds_max() + 5; }

/// A process that runs a seed.
struct seed_process {
  std::uint64_t seed = 0;
  pid_t pid = -1;
  int output = -1;
  int result = -1;
  bool again = false;  // for the second time
  bool timed_out = false;
  std::chrono::steady_clock::time_point began{};
  int status = 0;

  void close_files() {
    ::close(output);
    ::close(result);
  }
  [[nodiscard]] bool passed() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
  struct told {
    report numbers{};
    std::vector<std::uint64_t> snapshots{};
    std::set<std::string> points{};
  };
  [[nodiscard]] told read() const {
    told all;
    const std::string bytes = read_from_start(result);
    if (bytes.size() < sizeof(report)) return all;
    std::memcpy(&all.numbers, bytes.data(), sizeof(report));
    const std::size_t words = all.numbers.snapshots * sizeof(std::uint64_t);
    if (bytes.size() < sizeof(report) + words) return {};
    all.snapshots.resize(all.numbers.snapshots);
    if (words > 0) std::memcpy(all.snapshots.data(), bytes.data() + sizeof(report), words);
    std::string_view names(bytes);
    names.remove_prefix(sizeof(report) + words);
    while (!names.empty()) {
      const auto end = names.find('\n');
      all.points.emplace(names.substr(0, end));
      names.remove_prefix(end == std::string_view::npos ? names.size() : end + 1);
    }
    return all;
  }
};

seed_process begin_process(std::uint64_t seed) {
  seed_process p;
  p.seed = seed;
  p.output = ::memfd_create("output", MFD_CLOEXEC);
  p.result = ::memfd_create("result", MFD_CLOEXEC);
  p.began = std::chrono::steady_clock::now();
  std::fflush(nullptr);
  return p;
}

/// A copy of this process runs it.
seed_process fork_seed(const body_function& body, const world_options& options, std::uint64_t seed,
                       const trace_range& trace = {}) {
  seed_process p = begin_process(seed);
  p.pid = ::fork();
  if (p.pid != 0) return p;
  ::alarm(alarm_after());
  ::dup2(p.output, STDOUT_FILENO);
  ::dup2(p.output, STDERR_FILENO);
  report told;
  std::vector<std::uint64_t> snapshots;
  std::set<std::string> points;
  const bool good = run_seed(body, options, seed, trace, told, snapshots, points);
  write_report(p.result, told, snapshots, points);
  std::fflush(nullptr);
  ::_exit(good ? 0 : 1);
}

/// This program, started anew in other surroundings, runs it.
seed_process spawn_seed(std::uint64_t seed, const trace_range& trace = {}) {
  seed_process p = begin_process(seed);
  p.again = true;
  const std::string program = own_path();
  const std::string filter = "--gtest_filter=" + test_name();
  const std::string wanted = fmt::format("{:#x}", seed);
  const std::string result = std::to_string(p.result);
  p.pid = ::fork();
  if (p.pid != 0) return p;
  ::alarm(alarm_after());
  ::dup2(p.output, STDOUT_FILENO);
  ::dup2(p.output, STDERR_FILENO);
  ::fcntl(p.result, F_SETFD, 0);
  if (const int now = ::personality(0xffffffff); now >= 0) {
    ::personality(static_cast<unsigned long>(now) & ~static_cast<unsigned long>(ADDR_NO_RANDOMIZE));
  }
  ::setenv("ATOLL_SIM_SEED", wanted.c_str(), 1);
  ::setenv("ATOLL_SIM_RESULT", result.c_str(), 1);
  ::setenv("LC_ALL", "C.UTF-8", 1);
  ::setenv("TZ", "Pacific/Kiritimati", 1);
  ::setenv("ATOLL_SIM_SURROUNDINGS", std::string(seed % 4096, 'x').c_str(), 1);
  ::unsetenv("ATOLL_SIM_TRACE");
  if (!trace.file.empty()) {
    ::setenv("ATOLL_SIM_TRACE", trace.file.c_str(), 1);
    ::setenv("ATOLL_SIM_TRACE_FROM", std::to_string(trace.from).c_str(), 1);
    ::setenv("ATOLL_SIM_TRACE_TO", std::to_string(trace.to).c_str(), 1);
  }
  if (::chdir("/") != 0) ::_exit(3);
  ::execl(program.c_str(), program.c_str(), filter.c_str(), "--gtest_brief=1", "--gtest_also_run_disabled_tests",
          static_cast<char*>(nullptr));
  ::_exit(3);
}

void wait_for(seed_process& p) {
  while (p.pid > 0 && ::waitpid(p.pid, &p.status, 0) < 0 && errno == EINTR) continue;
}

/// The first line that two traces don't share.
std::string first_difference(const std::string& a, const std::string& b) {
  std::ifstream one(a);
  std::ifstream other(b);
  std::string from_one;
  std::string from_other;
  while (true) {
    const bool more_one = static_cast<bool>(std::getline(one, from_one));
    const bool more_other = static_cast<bool>(std::getline(other, from_other));
    if (!more_one && !more_other) return "none when they were run again: not always, then";
    if (!more_one) from_one = "(the end)";
    if (!more_other) from_other = "(the end)";
    if (from_one != from_other) return "\n  " + from_one + "\n  " + from_other;
  }
}

/// Runs a seed whose histories differ twice more, and finds where they begin to.
std::string find_divergence(const body_function& body, const world_options& options, std::uint64_t seed,
                            const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  std::size_t same = 0;
  {
    // The snapshots agree up to some point, and from there on differ.
    std::size_t low = 0;
    std::size_t high = std::min(a.size(), b.size());
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (a[middle] == b[middle]) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    same = low;
  }
  std::string folder = "/tmp/atoll-divergence-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return "no folder for traces";
  const std::uint64_t from = same * history::snapshot_every;
  std::array<std::string, 2> files{folder + "/a", folder + "/b"};
  for (std::size_t i = 0; i < files.size(); ++i) {  // in the surroundings of the two that differed
    const trace_range range{files[i], from, from + history::snapshot_every};
    auto p = i == 0 ? fork_seed(body, options, seed, range) : spawn_seed(seed, range);
    wait_for(p);
    p.close_files();
  }
  auto found = fmt::format("from happening {} on: {}", from, first_difference(files[0], files[1]));
  for (const auto& file : files) ::unlink(file.c_str());
  ::rmdir(folder.c_str());
  return found;
}

class seed_runner {
 public:
  seed_runner(const body_function& body, const world_options& options)
      : body_(body),
        options_(options),
        count_(number_from("ATOLL_SIM_SEEDS", 20)),
        check_percent_(number_from("ATOLL_SIM_CHECK", 5)),
        jobs_(std::max<std::uint64_t>(number_from("ATOLL_SIM_JOBS", std::thread::hardware_concurrency()), 1)),
        limit_(seconds_max()),
        seeds_(number_from("ATOLL_SIM_BASE", 1), purpose::test, history::hash_of(test_name())) {}

  void run() {
    const auto began = std::chrono::steady_clock::now();
    std::uint64_t begun = 0;
    while (begun < count_ || !running_.empty()) {
      while (begun < count_ && running_.size() < jobs_ && failed_ < failures_max) {
        const std::uint64_t seed = seeds_();
        const bool check = begun == 0 ? check_percent_ > 0 : seed % 100 < check_percent_;
        add(fork_seed(body_, options_, seed));
        if (check) add(spawn_seed(seed));
        ++begun;
      }
      if (failed_ >= failures_max) begun = count_;
      wait_for_one();
    }
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::printf("%llu seeds, %llu of them twice: %.2f million happenings, %.1f s of their time, in %.1f s\n",
                static_cast<unsigned long long>(ended_), static_cast<unsigned long long>(checked_),
                static_cast<double>(happenings_) / 1e6, static_cast<double>(virtual_ns_) / 1e9, took);
    if (const char* file = std::getenv("ATOLL_SIM_COVERAGE"); file != nullptr && *file != '\0') {
      std::ofstream to(file, std::ios::app);
      for (const auto& point : world::all_points()) to << "all " << point << "\n";
      for (const auto& point : points_) to << "hit " << point << "\n";
    }
  }

 private:
  static constexpr std::uint64_t failures_max = 3;

  void add(seed_process p) {
    if (p.pid > 0) {
      running_.push_back(p);
      return;
    }
    failed_ = failures_max;
    ADD_FAILURE() << "no process for a seed: " << std::strerror(errno);
    p.close_files();
  }

  void wait_for_one() {
    while (!running_.empty()) {
      for (auto p = running_.begin(); p != running_.end(); ++p) {
        const pid_t ended = ::waitpid(p->pid, &p->status, WNOHANG);
        if (ended == p->pid) {
          take(*p);
          p->close_files();
          running_.erase(p);
          return;
        }
        if (!p->timed_out && std::chrono::steady_clock::now() - p->began > limit_) {
          p->timed_out = true;
          ::kill(p->pid, SIGKILL);
        }
      }
      ::poll(nullptr, 0, 1);
    }
  }

  void take(const seed_process& p) {
    const auto told = p.read();
    if (!p.again) {
      ++ended_;
      happenings_ += told.numbers.happenings;
      virtual_ns_ += told.numbers.virtual_ns;
      points_.insert(told.points.begin(), told.points.end());
    }
    if (!p.passed() || told.numbers.finished == 0) {
      ++failed_;
      const std::string why = p.timed_out             ? "took too long"
                              : WIFSIGNALED(p.status) ? "was ended by a signal"
                                                      : "failed";
      ADD_FAILURE() << "SIM FAIL " << test_name() << fmt::format(" seed={:#x}", p.seed) << " " << why
                    << fmt::format(" happenings={} hash={:#x}", told.numbers.happenings, told.numbers.hash)
                    << "\nreplay: " << replay(p.seed) << "\n"
                    << read_from_start(p.output);
      return;
    }
    const auto other = told_.find(p.seed);
    if (other == told_.end()) {
      told_.emplace(p.seed, told);
      return;
    }
    ++checked_;
    if (other->second.numbers.hash == told.numbers.hash && other->second.numbers.happenings == told.numbers.happenings)
      return;
    ++failed_;
    ADD_FAILURE() << "SIM FAIL " << test_name() << fmt::format(" seed={:#x}", p.seed)
                  << ": two runs of one seed differ; "
                  << find_divergence(body_, options_, p.seed, other->second.snapshots, told.snapshots)
                  << "\nreplay: " << replay(p.seed);
  }

  static std::string replay(std::uint64_t seed) {
    const char* const mutant = std::getenv("ATOLL_MUTANT");
    const std::string name = test_name();
    return fmt::format("{}ATOLL_SIM_SEED={:#x} {} --gtest_filter={}{}",
                       mutant != nullptr ? fmt::format("ATOLL_MUTANT={} ", mutant) : "", seed, own_path(), name,
                       name.find("DISABLED_") != std::string::npos ? " --gtest_also_run_disabled_tests" : "");
  }

  const body_function& body_;
  const world_options& options_;
  const std::uint64_t count_;
  const std::uint64_t check_percent_;
  const std::uint64_t jobs_;
  const std::chrono::seconds limit_;
  chance seeds_;
  std::vector<seed_process> running_;
  std::map<std::uint64_t, seed_process::told> told_;
  std::set<std::string> points_;
  std::uint64_t ended_ = 0;
  std::uint64_t checked_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t happenings_ = 0;
  std::uint64_t virtual_ns_ = 0;
};

}  // namespace

void run_seeds(const body_function& body, const world_options& options) {
  if (std::getenv("ATOLL_SIM_SEED") == nullptr) return seed_runner(body, options).run();
  const std::uint64_t seed = number_from("ATOLL_SIM_SEED", 1);
  trace_range trace;
  if (const char* file = std::getenv("ATOLL_SIM_TRACE"); file != nullptr) trace.file = file;
  trace.from = number_from("ATOLL_SIM_TRACE_FROM", 0);
  trace.to = number_from("ATOLL_SIM_TRACE_TO", UINT64_MAX);
  report told;
  std::vector<std::uint64_t> snapshots;
  std::set<std::string> points;
  run_seed(body, options, seed, trace, told, snapshots, points);
  std::printf("seed=%#llx happenings=%llu hash=%#llx\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(told.happenings), static_cast<unsigned long long>(told.hash));
  if (const std::uint64_t result = number_from("ATOLL_SIM_RESULT", 0); result != 0) {
    write_report(static_cast<int>(result), told, snapshots, points);
  }
}

}  // namespace atoll_root::atoll::sim
