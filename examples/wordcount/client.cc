// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A stock gRPC client of the word count: grpc++ stubs generated from the .proto that the service prints; nothing of
// atoll is in here.
//
//   wordcount_client --gateway 127.0.0.1:50051 --text FILE [--counts FILE]
//
// Streams the text line by line with up to `calls_max` calls under way: while there is a place a line goes out by
// itself, else the lines read meanwhile go together in the next call. Then prints what the cluster counted and compares all of it with a
// count by coreutils. Exit code: 0 match, 1 mismatch, 2 anything else, with one line that says what.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>

#include <grpcpp/grpcpp.h>
#include <openssl/evp.h>
#include <CLI/CLI.hpp>

#include "coreutils_count.hh"
#include "line_cutter.hh"
#include "wordcount.grpc.pb.h"

namespace {

namespace pb = wordcount::v1;
using std::chrono::steady_clock;

constexpr std::size_t calls_max = 16;
constexpr std::size_t lines_between_looks = 64;  // for replies, while there is no place
constexpr std::size_t batch_bytes_max = 256U << 10;
constexpr std::size_t piece_bytes = 1U << 20;
constexpr auto call_timeout = std::chrono::seconds(60);

void check(const grpc::Status& status, const char* what) {
  if (!status.ok()) {
    throw std::runtime_error(std::string(what) + ": " + status.error_message() + " (code " +
                             std::to_string(status.error_code()) + ")");
  }
}

std::string sha256(const std::string& text) {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned length = 0;
  if (EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), &length, EVP_sha256(),
                 nullptr) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
  digest.resize(length);
  return digest;
}

class counter {
 public:
  explicit counter(const std::string& address) : stub_(pb::WordCount::NewStub(connect(address))) {}

  void send(const std::string& file) {
    std::ifstream text(file, std::ios::binary);
    if (!text) throw std::runtime_error("can't read " + file + ": " + std::strerror(errno));
    wordcount::line_cutter cutter;
    cutter.on_line = [this](std::string part, bool ends_line) { add_line(std::move(part), ends_line); };
    cutter.on_long_word = [this](const std::string& word) { send_long_word(word); };
    begun_ = reported_ = steady_clock::now();
    std::string block(1U << 20, '\0');
    while (text.read(block.data(), static_cast<std::streamsize>(block.size())) || text.gcount() > 0) {
      cutter.feed({block.data(), static_cast<std::size_t>(text.gcount())});
    }
    if (text.bad()) throw std::runtime_error("can't read " + file + ": " + std::strerror(errno));
    cutter.finish();
    if (batch_.lines_size() > 0) send_batch();
    while (in_flight_ > 0) take_reply();
    const auto took = std::chrono::duration<double>(steady_clock::now() - begun_).count();
    std::printf("sent %lld lines in %.2f s: %.0f lines/s, %lld calls\n", static_cast<long long>(lines_), took,
                static_cast<double>(lines_) / took, static_cast<long long>(calls_));
  }

  void print_top() {
    pb::WordCountTopRequest request;
    pb::WordCountTopReply reply;
    request.set_k(10);
    check(with_deadline([&](auto* context) { return stub_->Top(context, request, &reply); }), "Top");
    std::printf("top %d:\n", reply.value_size());
    for (const auto& e : reply.value()) {
      std::printf("%9lld %s\n", static_cast<long long>(e.count()), e.word().c_str());
    }
  }

  void print_owners() {
    pb::WordCountOwnersReply reply;
    check(with_deadline([&](auto* context) { return stub_->Owners(context, pb::WordCountOwnersRequest(), &reply); }),
          "Owners");
    for (const auto& o : reply.value()) {
      std::printf("node %u shard %u owns %lld distinct words, counted %lld\n", o.node(), o.shard(),
                  static_cast<long long>(o.owned().distinct()), static_cast<long long>(o.owned().words()));
    }
  }

  /// Every word the cluster has, in the order of the bytes.
  template <class Take>
  void read_all(Take take) {
    auto long_words = read_long_words();
    pb::WordCountWordsRequest request;
    for (bool more = true; more;) {
      pb::Page reply;
      check(with_deadline([&](auto* context) { return stub_->Words(context, request, &reply); }), "Words");
      more = reply.more();
      for (const auto& e : reply.entries()) {
        while (!long_words.empty() && long_words.begin()->first < e.word()) {
          take(long_words.begin()->first, long_words.begin()->second);
          long_words.erase(long_words.begin());
        }
        take(e.word(), e.count());
        request.set_after(e.word());
      }
    }
    for (const auto& [word, count] : long_words) take(word, count);
  }

 private:
  struct call {
    grpc::ClientContext context;
    pb::WordCountCountLinesReply reply;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<pb::WordCountCountLinesReply>> reader;
  };

  template <class F>
  static grpc::Status with_deadline(F f) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + call_timeout);
    return f(&context);
  }

  static std::shared_ptr<grpc::Channel> connect(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // the cluster is near; no proxy knows the way
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }

  void add_line(std::string part, bool ends_line) {
    lines_ += ends_line ? 1 : 0;
    batch_bytes_ += part.size() + 4;
    batch_.add_lines(std::move(part));
    if (in_flight_ == calls_max) {
      if (batch_bytes_ >= batch_bytes_max) {
        take_reply();
      } else if (batch_.lines_size() % static_cast<int>(lines_between_looks) == 0) {
        while (in_flight_ > 0 && reply_is_there()) continue;
      }
    }
    if (in_flight_ < calls_max) {
      send_batch();
      report_progress();
    }
  }

  void send_batch() {
    auto* sent = new call;
    sent->context.set_deadline(std::chrono::system_clock::now() + call_timeout);
    sent->reader = stub_->AsyncCountLines(&sent->context, batch_, &replies_);
    sent->reader->Finish(&sent->reply, &sent->status, sent);
    batch_.Clear();
    batch_bytes_ = 0;
    ++in_flight_;
    ++calls_;
  }

  void taken(void* tag) {
    const std::unique_ptr<call> done(static_cast<call*>(tag));
    --in_flight_;
    check(done->status, "CountLines");
    words_ += done->reply.value();
  }

  void take_reply() {
    void* tag = nullptr;
    bool ok = false;
    if (!replies_.Next(&tag, &ok)) throw std::runtime_error("the completion queue ended");
    taken(tag);
  }

  bool reply_is_there() {
    void* tag = nullptr;
    bool ok = false;
    // Not now(): that blocks for a millisecond.
    if (replies_.AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) != grpc::CompletionQueue::GOT_EVENT) {
      return false;
    }
    taken(tag);
    return true;
  }

  void send_long_word(const std::string& word) {
    const auto digest = sha256(word);
    if (count_long_word(digest, word.size())) return;
    for (std::size_t at = 0; at < word.size(); at += piece_bytes) {
      pb::WordCountPutLongWordRequest request;
      pb::WordCountPutLongWordReply reply;
      request.set_digest(digest);
      request.set_offset(at);
      request.set_piece(word.substr(at, piece_bytes));
      check(with_deadline([&](auto* context) { return stub_->PutLongWord(context, request, &reply); }), "PutLongWord");
      report_progress();
    }
    if (!count_long_word(digest, word.size())) throw std::runtime_error("a long word was not kept");
  }

  bool count_long_word(const std::string& digest, std::size_t letters) {
    pb::WordCountCountLongWordRequest request;
    pb::WordCountCountLongWordReply reply;
    request.set_digest(digest);
    request.set_letters(letters);
    check(with_deadline([&](auto* context) { return stub_->CountLongWord(context, request, &reply); }),
          "CountLongWord");
    return reply.value();
  }

  std::map<std::string, std::int64_t> read_long_words() {
    std::map<std::string, std::int64_t> words;
    pb::WordCountLongWordsReply listed;
    check(with_deadline(
              [&](auto* context) { return stub_->LongWords(context, pb::WordCountLongWordsRequest(), &listed); }),
          "LongWords");
    for (const auto& e : listed.value()) {
      std::string word;
      while (word.size() < e.letters()) {
        pb::WordCountGetLongWordRequest request;
        pb::WordCountGetLongWordReply reply;
        request.set_digest(e.digest());
        request.set_offset(word.size());
        request.set_bytes_max(piece_bytes);
        check(with_deadline([&](auto* context) { return stub_->GetLongWord(context, request, &reply); }),
              "GetLongWord");
        if (reply.value().empty()) throw std::runtime_error("a long word ends early");
        word += reply.value();
      }
      words[std::move(word)] = e.count();
    }
    return words;
  }

  void report_progress() {
    const auto now = steady_clock::now();
    if (now - reported_ < std::chrono::seconds(1)) return;
    reported_ = now;
    std::printf("  %lld lines, %lld words counted\n", static_cast<long long>(lines_), static_cast<long long>(words_));
    std::fflush(stdout);
  }

  std::unique_ptr<pb::WordCount::Stub> stub_;
  grpc::CompletionQueue replies_;
  pb::WordCountCountLinesRequest batch_;
  std::size_t batch_bytes_ = 0;
  std::size_t in_flight_ = 0;
  std::int64_t lines_ = 0;
  std::int64_t calls_ = 0;
  std::int64_t words_ = 0;
  steady_clock::time_point begun_;
  steady_clock::time_point reported_;
};

/// "the 42": the cluster's counts as lines of a file, next to which coreutils' are laid.
struct line_reader {
  explicit line_reader(const std::string& file) : in(file, std::ios::binary) {}
  bool next() { return static_cast<bool>(std::getline(in, line)); }
  std::ifstream in;
  std::string line;
};

int compare(const std::string& text, const std::string& counts) {
  line_reader cluster(counts);
  std::int64_t words = 0;
  std::int64_t distinct = 0;
  std::string difference;
  const auto failed = wordcount::count_by_coreutils(text, [&](const std::string& word, std::int64_t count) {
    words += count;
    ++distinct;
    if (!difference.empty()) return;
    const auto expected = word + " " + std::to_string(count);
    if (!cluster.next()) cluster.line = "nothing more";
    if (cluster.line != expected) {
      difference = "coreutils have '" + expected.substr(0, 80) + "', the cluster '" + cluster.line.substr(0, 80) + "'";
    }
  });
  if (failed) throw std::runtime_error(*failed);
  if (difference.empty() && cluster.next()) {
    difference = "the cluster has '" + cluster.line.substr(0, 80) + "', coreutils nothing more";
  }
  if (difference.empty()) {
    std::printf("verdict: match words=%lld distinct=%lld\n", static_cast<long long>(words),
                static_cast<long long>(distinct));
    return 0;
  }
  std::printf("verdict: MISMATCH %s\n", difference.c_str());
  return 1;
}

int run(const std::string& gateway, const std::string& text, std::string counts) {
  struct stat about{};
  if (::stat(text.c_str(), &about) != 0) throw std::runtime_error("can't read " + text + ": " + std::strerror(errno));
  if (!S_ISREG(about.st_mode)) throw std::runtime_error(text + " is not a regular file");
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("counting %s, %lld bytes\n", text.c_str(), static_cast<long long>(about.st_size));

  counter cluster(gateway);
  cluster.send(text);
  cluster.print_top();
  cluster.print_owners();

  const bool keep = !counts.empty();
  if (!keep) {
    counts = std::string(std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp") + "/wordcount.XXXXXX";
    const int made = ::mkstemp(counts.data());
    if (made < 0) throw std::runtime_error("can't make a temporary file: " + std::string(std::strerror(errno)));
    ::close(made);
  }
  {
    std::ofstream out(counts, std::ios::binary);
    cluster.read_all([&out](const std::string& word, std::int64_t count) { out << word << ' ' << count << '\n'; });
    out.close();
    if (!out) throw std::runtime_error("can't write " + counts);
  }
  const int verdict = compare(text, counts);
  if (!keep) ::unlink(counts.c_str());
  return verdict;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App parser("Counts the words of a file on a cluster, and checks the counts.", "wordcount_client");
  std::string gateway;
  std::string text = "/usr/share/common-licenses/GPL-3";
  std::string counts;
  parser.add_option("--gateway", gateway, "HOST:PORT of a node's gateway")->required();
  parser.add_option("--text", text, "the file to count")->capture_default_str();
  parser.add_option("--counts", counts, "write the cluster's counts here: a line 'word count' each, by word");
  try {
    parser.parse(argc, argv);
    return run(gateway, text, counts);
  } catch (const CLI::CallForHelp&) {
    std::fputs(parser.help().c_str(), stdout);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "wordcount_client: %s\n", e.what());
    return 2;
  }
}
