// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Points: where code says what a simulated world may do to it, and what it has to see.
//
//   if (ATOLL_BUGGIFY()) co_await atoll::sleep(1ms);                      // rare paths are taken often
//   if (ATOLL_BUGGIFY(0.01)) co_return error(status_code::unavailable);
//   const std::size_t batch = ATOLL_KNOB(batch, 256, 1, 4096);            // 256; in a world something from 1 to 4096
//   ATOLL_SOMETIMES("a call waited for its slot");                        // should happen in some seed
//   ATOLL_ALWAYS(epoch >= promised, "an epoch went back");                // has to hold in every seed
//
// They live in builds with ATOLL_POINTS (the CMake option, for everything that is linked); in others BUGGIFY is false, a knob its
// value, and the other two are nothing, with conditions that are compiled but never evaluated. Outside a simulated world they do nothing
// either. A point of BUGGIFY is active in a quarter of the worlds, and then fires each fourth time, or with the probability it
// says. What it does must be what may happen anyway. A knob has one value all through a world.
// ATOLL_SOMETIMES stands in functions that are neither inline nor templates. Shard rules: on any shard.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {

/// What a world does at the points of a node.
class sim_points {
 public:
  /// Whether this place is to do something else than usual, now.
  virtual bool fires(std::uint64_t place, double probability) noexcept = 0;
  /// In [least, most].
  virtual std::uint64_t knob(std::uint64_t name, std::uint64_t value, std::uint64_t least,
                             std::uint64_t most) noexcept = 0;
  virtual void hit(std::string_view name) noexcept = 0;
  [[noreturn]] virtual void broken(std::string_view why, std::string_view file, std::uint32_t line) noexcept = 0;
  /// Which planted bug the code has; 0: none.
  [[nodiscard]] virtual int mutant() const noexcept = 0;

 protected:
  ~sim_points() = default;
};

namespace detail {

constexpr std::uint64_t place_of(std::string_view file, std::uint32_t line) noexcept {
  std::uint64_t h = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : file.substr(file.rfind('/') + 1)) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return (h ^ line) * 0x100000001b3U;
}

inline sim_points* points_here() noexcept { return current_shard == nullptr ? nullptr : current_shard->points; }

inline bool buggify(std::uint64_t place, double probability = 0.25) noexcept {
  sim_points* const here = points_here();
  return here != nullptr && here->fires(place, probability);
}
template <class T>
T knob(std::uint64_t name, T value, T least, T most) noexcept {
  sim_points* const here = points_here();
  if (here == nullptr) return value;
  return static_cast<T>(here->knob(name, static_cast<std::uint64_t>(value), static_cast<std::uint64_t>(least),
                                   static_cast<std::uint64_t>(most)));
}
inline bool is_mutant(int number) noexcept {
  sim_points* const here = points_here();
  return here != nullptr && here->mutant() == number;
}

}  // namespace detail
}  // namespace atoll_root::atoll

#if defined(ATOLL_POINTS)
#define ATOLL_BUGGIFY(...)                                                                                      \
  ::atoll_root::atoll::detail::buggify(::atoll_root::atoll::detail::place_of(__FILE__, __LINE__) __VA_OPT__(, ) \
                                           __VA_ARGS__)
#define ATOLL_KNOB(name, value, least, most)                                                                   \
  ::atoll_root::atoll::detail::knob<decltype(value)>(::atoll_root::atoll::detail::place_of(#name, 0), (value), \
                                                     (least), (most))
#define ATOLL_SOMETIMES(name)                                                                            \
  do {                                                                                                   \
    [[gnu::section("atoll_sometimes"), gnu::used]] static constexpr const char* atoll_point = name;      \
    if (auto* atoll_points = ::atoll_root::atoll::detail::points_here()) atoll_points->hit(atoll_point); \
  } while (false)
#define ATOLL_ALWAYS(condition, why)                                                                              \
  do {                                                                                                            \
    if (auto* atoll_points = ::atoll_root::atoll::detail::points_here(); atoll_points != nullptr && !(condition)) \
      atoll_points->broken(why, __FILE__, __LINE__);                                                              \
  } while (false)
/// True where the planted bug of this number is in the code: for the tests of the simulation itself.
#define ATOLL_MUTANT(number) ::atoll_root::atoll::detail::is_mutant(number)
#else
#define ATOLL_BUGGIFY(...) false
#define ATOLL_KNOB(name, value, least, most) (value)
#define ATOLL_SOMETIMES(name) static_cast<void>(0)
#define ATOLL_ALWAYS(condition, why) static_cast<void>(sizeof((condition) ? 1 : 0))
#define ATOLL_MUTANT(number) false
#endif
