// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The limit for memory: mimalloc called bare, on threads that are no shards. The library is opened at run time, so
// that it is a limit also where atoll is built without it; where atoll is linked with it, this is the same library.
// It is called through a pointer, as operator new is through the table of the dynamic linker: what the operators add
// (a test for null, the way from operator new to the library) counts as atoll's.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "alloc_limit.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

struct bare {
  allocator library = bare_allocator();
  void* allocate(std::size_t bytes) const { return library.allocate(bytes); }
  void free(void* block) const { library.free(block); }
};

allocator open_allocator() {
  if (void* library = ::dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL)) {
    allocator a{};
    a.allocate = reinterpret_cast<void* (*)(std::size_t)>(::dlsym(library, "mi_malloc"));
    a.free = reinterpret_cast<void (*)(void*)>(::dlsym(library, "mi_free"));
    if (a.allocate != nullptr && a.free != nullptr) return a;
  }
  std::fprintf(stderr, "atoll_bench: no libmimalloc.so.2 here: the limit of alloc is the system's malloc\n");
  return {&std::malloc, &std::free};
}

}  // namespace

const allocator& bare_allocator() {
  static const allocator opened = open_allocator();
  return opened;
}

double bare_alloc_ns() {
  return on_bare_thread([] { return replace_ns(bare{}); });
}

double bare_alloc_cross_ns() {
  const auto ring = std::make_unique<block_ring>();
  std::thread receiver([&ring] {
    run_on_processor(1);
    while (ring->free_arrived(bare{})) {
    }
  });
  const double ns = on_bare_thread([&ring] {
    while (ring->send_batch(bare{})) {
    }
    return ring->measured.median_ns();
  });
  receiver.join();
  return ns;
}

}  // namespace bench
