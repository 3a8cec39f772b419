// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Chat rooms: keyed actors that give streams. Visitors join rooms, people on every shard talk in all of them, and who is in a
// room hears all that is said there, in one order.
#include <cstdio>
#include <list>
#include <string>
#include <vector>

#include <atoll/actors/sync/channel.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/application.hh>

struct line {
  std::string who;
  std::string text;

  friend bool operator==(const line&, const line&) = default;
};
ATOLL_MESSAGE(line, who, text);

/// One for each name; it is there as long as somebody talks or listens.
class room : public atoll::actor<room, std::string> {
 public:
  /// A welcome, then all that is said from now on. Who doesn't keep up is put out.
  atoll::stream<line> join() {
    listener here(listeners_);
    line welcome{key(), "welcome"};
    co_yield std::move(welcome);
    while (auto heard = co_await here.inbox->pop()) co_yield *std::move(heard);
  }
  atoll::future<> say(line said) {
    for (auto& inbox : listeners_) {
      line copy = said;
      if (!inbox.try_push(copy)) inbox.close();
    }
    return atoll::make_ready_future();
  }

 private:
  using inboxes = std::list<atoll::channel<line>>;

  static constexpr std::size_t lines_behind_max = 1'000;

  /// In the list while its stream is open, however that ends.
  struct listener {
    explicit listener(inboxes& of) : all(of), inbox(all.emplace(all.end(), "listener", lines_behind_max)) {}
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;
    ~listener() { all.erase(inbox); }

    inboxes& all;
    inboxes::iterator inbox;
  };

  inboxes listeners_;
};
ATOLL_SERVICE(room, "chat.Room", ATOLL_METHOD(join), ATOLL_METHOD(say, said));

/// On each shard.
class talker {
 public:
  using depends_on = atoll::dependencies<room>;
  explicit talker(atoll::keyed_ref<room> rooms) : rooms_(rooms) {}

  atoll::future<> talk(std::vector<std::string> names, int lines) {
    const auto me = "talker " + std::to_string(atoll::this_shard_id());
    for (int i = 0; i < lines; ++i) {
      for (const auto& name : names) {
        line said{me, "line " + std::to_string(i)};
        co_await rooms_.at(name).say(std::move(said));
      }
    }
  }

 private:
  atoll::keyed_ref<room> rooms_;
};
ATOLL_SERVICE(talker, "chat.Talker", ATOLL_METHOD(talk, names, lines));

/// So many lines of a stream.
atoll::future<std::vector<line>> listen(atoll::stream<line> said, std::size_t lines) {
  std::vector<line> heard;
  while (heard.size() < lines) {
    auto next = co_await said.next();
    if (!next) break;
    heard.push_back(*std::move(next));
  }
  co_return heard;
}

atoll::future<int> demo() {
  constexpr int lines_each = 100;
  constexpr int visitors = 5;
  const std::vector<std::string> names{"reef", "lagoon", "shore"};
  atoll::application app(atoll::part<talker>(), atoll::part<atoll::keyed<room>>());
  co_await app.start();

  auto rooms = app.get<atoll::keyed<room>>().ref();
  const auto expected = static_cast<std::size_t>(lines_each) * atoll::shard_count();
  std::vector<atoll::future<std::vector<line>>> listening;
  for (const auto& name : names) {
    for (int i = 0; i < visitors; ++i) {
      auto said = rooms.at(name).join();
      co_await said.next();  // the welcome: from here on it hears everything
      listening.push_back(listen(std::move(said), expected));
    }
  }
  co_await app.get<talker>().on_all(&talker::talk, names, lines_each);

  bool all_the_same = true;
  auto next = listening.begin();
  for (const auto& name : names) {
    const auto first = co_await std::move(*next++);
    bool same = first.size() == expected;
    for (int i = 1; i < visitors; ++i) {
      const auto other = co_await std::move(*next++);
      same = same && other == first;
    }
    std::printf("%s: %d visitors heard %zu lines, %s\n", name.c_str(), visitors, first.size(),
                same ? "all in the same order" : "not the same ones");
    all_the_same = all_the_same && same;
  }
  co_await app.stop();
  co_return all_the_same ? 0 : 1;
}

int main(int argc, char** argv) {
  atoll::app app("chat", "Rooms in which everybody hears the same.");
  return app.run(argc, argv, [] { return demo(); });
}
