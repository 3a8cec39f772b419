// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/machine.hh>

#include <linux/io_uring.h>
#include <linux/membarrier.h>
#include <linux/perf_event.h>
#include <numaif.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <atoll/actors/base/error.hh>
#include <atoll/sharding/proc_text.hh>

namespace atoll_root::atoll {
namespace {

availability refused(int number) {
  // The words of from_errno() without its code.
  const std::string text(error::from_errno(number, "").message());
  return {false, text.starts_with(": ") ? text.substr(2) : text};
}

/// What a call that gives a descriptor says of its being usable.
availability of_descriptor(long fd) {
  if (fd < 0) return refused(errno);
  ::close(static_cast<int>(fd));
  return {true, {}};
}

availability probe_io_uring() {
  constexpr unsigned entries = 4;
  io_uring_params parameters{};
  return of_descriptor(::syscall(SYS_io_uring_setup, entries, &parameters));
}

availability probe_membarrier() {
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0 ||
      ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
    return refused(errno);
  }
  return {true, {}};
}

availability probe_event_loop() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return refused(errno);
  const int event = ::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
  availability found{true, {}};
  epoll_event interest{};
  interest.events = EPOLLIN;
  if (event < 0 || ::epoll_ctl(epoll, EPOLL_CTL_ADD, event, &interest) != 0) {
    found = refused(errno);
  } else if (::epoll_wait(epoll, &interest, 1, 0) != 1) {
    found = {false, "epoll does not see an event"};
  }
  if (event >= 0) ::close(event);
  ::close(epoll);
  return found;
}

/// On a page of its own, whose policy stays what it is.
availability probe_memory_binding() {
  const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* page = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return refused(errno);
  availability found{true, {}};
  if (::get_mempolicy(nullptr, nullptr, 0, nullptr, 0) != 0 || ::mbind(page, bytes, MPOL_DEFAULT, nullptr, 0, 0) != 0) {
    found = refused(errno);
  }
  ::munmap(page, bytes);
  return found;
}

/// Asks for the mask the thread has: nothing changes, and a filter of system calls still shows.
availability probe_pinning() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (::sched_getaffinity(0, sizeof mask, &mask) != 0 || ::sched_setaffinity(0, sizeof mask, &mask) != 0) {
    return refused(errno);
  }
  return {true, {}};
}

availability probe_perf_event() {
  perf_event_attr wanted{};
  wanted.size = sizeof wanted;
  wanted.type = PERF_TYPE_SOFTWARE;
  wanted.config = PERF_COUNT_SW_TASK_CLOCK;
  wanted.disabled = 1;
  wanted.exclude_kernel = 1;
  wanted.exclude_hv = 1;
  return of_descriptor(::syscall(SYS_perf_event_open, &wanted, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

std::vector<numa_node> read_nodes(const std::string& root) {
  const std::string folder = root + "/sys/devices/system/node/";
  std::vector<numa_node> nodes;
  auto online = parse_cpu_list(read_system_file(folder + "online").value_or(std::string()));
  if (!online) return nodes;
  for (const unsigned id : *online) {
    const std::string node = folder + "node" + std::to_string(id);
    numa_node found{.id = static_cast<int>(id), .processors = {}, .memory_bytes = 0};
    auto cpus = parse_cpu_list(read_system_file(node + "/cpulist").value_or(std::string()));
    if (cpus) found.processors = *std::move(cpus);
    found.memory_bytes =
        parse_meminfo(read_system_file(node + "/meminfo").value_or(std::string())).total_bytes.value_or(0);
    nodes.push_back(std::move(found));
  }
  return nodes;
}

void read_memory(machine_info& machine, const std::string& root) {
  const auto memory = parse_meminfo(read_system_file(root + "/proc/meminfo").value_or(std::string()));
  machine.memory_bytes = memory.total_bytes.value_or(0);
  struct sysinfo system{};
  if (machine.memory_bytes == 0 && ::sysinfo(&system) == 0) {
    machine.memory_bytes = std::uint64_t{system.totalram} * system.mem_unit;
  }
  machine.memory_available_bytes = memory.available_bytes;
  machine.huge_page_bytes = memory.huge_page_bytes;
  machine.huge_pages_free = memory.huge_pages_free.value_or(0);
  machine.transparent_huge_pages =
      parse_choice(read_system_file(root + "/sys/kernel/mm/transparent_hugepage/enabled").value_or(std::string()));
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    machine.address_space_limit_bytes = limit.rlim_cur;
  }
  machine.limits = read_cgroup_limits(root);
}

std::string first_word(const std::string& text) { return text.substr(0, text.find_first_of(" \t\n")); }

}  // namespace

machine_info probe_memory(const std::string& root) {
  machine_info machine;
  read_memory(machine, root);
  return machine;
}

machine_info probe_machine(const std::string& root) {
  machine_info machine;
  utsname system{};
  if (::uname(&system) == 0) machine.kernel_release = system.release;
  machine.processors = allowed_processors();
  auto online = parse_cpu_list(read_system_file(root + "/sys/devices/system/cpu/online").value_or(std::string()));
  if (online) machine.processors_online = static_cast<unsigned>(online->size());
  machine.nodes = read_nodes(root);
  read_memory(machine, root);
  machine.memory_binding = probe_memory_binding();
  machine.io_uring = probe_io_uring();
  machine.membarrier = probe_membarrier();
  machine.event_loop = probe_event_loop();
  machine.pinning = probe_pinning();
  machine.perf_event = probe_perf_event();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    machine.descriptors = limit.rlim_cur;
    machine.descriptors_max = limit.rlim_max;
  }
  machine.clock_source =
      first_word(read_system_file(root + "/sys/devices/system/clocksource/clocksource0/current_clocksource")
                     .value_or(std::string()));
  return machine;
}

}  // namespace atoll_root::atoll
