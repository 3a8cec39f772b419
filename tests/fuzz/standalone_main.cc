// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Runs a fuzz target without libFuzzer: `fuzz_codec DIR` takes each file of DIR and `mutations` changes of them. They are
// the same in each run and on each machine, so this is a test. The input that breaks an assert is printed in hex.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <atoll/actors/base/rng.hh>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int mutations = 20'000;
constexpr std::size_t input_bytes_max = 4096;
constexpr std::uint64_t changes_max = 6;     // to one input
constexpr std::uint64_t run_bytes_max = 16;  // erased, repeated or inserted at once

/// Bytes at which parsers change their mind: ends of ranges of varints, UTF-8 and text.
constexpr std::array<unsigned char, 20> telling_bytes = {0x00, 0x01, 0x08, 0x0a, 0x12, 0x2c, 0x2e, 0x3a, 0x3d, 0x5b,
                                                         0x5d, 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xed, 0xf4, 0xfe, 0xff};

std::string running;  // the input of now, for the handler

/// Not safe in a signal handler in general, but abort() comes from the target's code, where stdio is at rest.
void print_input(int) {
  std::fprintf(stderr, "the input, %zu bytes in hex: ", running.size());
  for (const char c : running) std::fprintf(stderr, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  std::fputc('\n', stderr);
}

void run(std::string input) {
  running = std::move(input);
  // A copy of exactly this size: a sanitizer sees the first byte read past it.
  const std::vector<std::uint8_t> exact(running.begin(), running.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

std::vector<std::string> read_seeds(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::ranges::sort(paths);  // the folder's own order is the file system's
  std::vector<std::string> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

void change(std::string& input, const std::string& other, atoll::rng& random) {
  const std::size_t at = random.below(input.size() + 1);
  const std::size_t count = 1 + random.below(run_bytes_max);
  const auto telling = [&random] { return static_cast<char>(telling_bytes[random.below(telling_bytes.size())]); };
  switch (random.below(7)) {
    case 0:
      if (at < input.size())
        input[at] = static_cast<char>(static_cast<unsigned char>(input[at]) ^ (1U << random.below(8)));
      break;
    case 1:
      if (at < input.size()) input[at] = telling();
      break;
    case 2:
      input.insert(at, 1, telling());
      break;
    case 3:
      input.insert(at, 1, static_cast<char>(random.below(256)));
      break;
    case 4:
      input.erase(at, count);
      break;
    case 5:
      input.insert(at, std::string(input, at, count));
      break;
    default:  // the rest is another seed's
      input.replace(at, std::string::npos, other, random.below(other.size() + 1), std::string::npos);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto seeds = argc == 2 ? read_seeds(argv[1]) : std::vector<std::string>();
  if (seeds.empty()) {
    std::fprintf(stderr, "usage: %s FOLDER, of which each file is an input\n", argv[0]);
    return 2;
  }
  std::signal(SIGABRT, &print_input);
  run("");
  for (const auto& seed : seeds) run(seed);
  atoll::rng random(1);
  for (int i = 0; i < mutations; ++i) {
    std::string input = seeds[random.below(seeds.size())];
    for (auto changes = 1 + random.below(changes_max); changes > 0; --changes) {
      change(input, seeds[random.below(seeds.size())], random);
    }
    input.resize(std::min(input.size(), input_bytes_max));
    run(std::move(input));
  }
  std::printf("%zu seeds, %d mutations\n", seeds.size(), mutations);
  return 0;
}
