// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/config_file.hh>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace {

using entries = std::vector<atoll::config_entry>;
using std::string_view_literals::operator""sv;

TEST(config_file, reads_lines_of_key_and_value) {
  const auto found = atoll::parse_config(
      "\xef\xbb\xbf# a comment\r\n\r\n; another\n  shards = 2\t# two\npoll_time=40us\r\n"
      "a = \"x # \\\"y\\\" \\\\ \\n\\t\\r\\x41\" # z\nb = 'it\\n # '\nc =\nd = a#b = c # d\ne = # f\ng=[::1]:80");
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(*found, (entries{{"shards", "2", 4},
                             {"poll-time", "40us", 5},
                             {"a", "x # \"y\" \\ \n\t\rA", 6},
                             {"b", "it\\n # ", 7},
                             {"c", "", 8},
                             {"d", "a#b = c", 9},
                             {"e", "", 10},
                             {"g", "[::1]:80", 11}}));
}

TEST(config_file, an_empty_text_has_no_entries) {
  for (const auto text : {""sv, "\n"sv, "\n\n \t\n"sv, "\r\n"sv, "#"sv, "\xef\xbb\xbf"sv}) {
    const auto found = atoll::parse_config(text);
    ASSERT_TRUE(found) << text;
    EXPECT_TRUE(found->empty()) << text;
  }
}

TEST(config_file, refuses_other_lines_and_names_their_number) {
  for (const auto line :
       {"shards"sv,      "[section]"sv,    "= 2"sv,           "two words = 2"sv, "Shards = 2"sv, "-x = 2"sv,
        "_x = 2"sv,      "--shards = 2"sv, "a.b = 2"sv,       "a = \"x"sv,       "a = 'x"sv,     "a = \"x\" y"sv,
        "a = \"\\q\""sv, "a = \"\\x4\""sv, "a = \"\\xg0\""sv, "a = \"\\"sv,      "a = \0"sv,     "a = \x1b"sv,
        "\xff\xfe"sv,    "a\rb = 1"sv,     "a = 1\r\r"sv}) {
    const auto found = atoll::parse_config("ok = 1\n" + std::string(line));
    ASSERT_FALSE(found) << line;
    EXPECT_EQ(found.error().code(), atoll::status_code::invalid_argument);
    EXPECT_TRUE(found.error().message().starts_with("line 2: ")) << found.error().message();
    EXPECT_EQ(found.error().message().find_first_of("\n\r\x1b"), std::string_view::npos) << found.error().message();
  }
}

TEST(config_file, reads_a_line_of_a_megabyte) {
  const std::string value(1'000'000, 'v');
  const auto found = atoll::parse_config("a = " + value);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front().value, value);
  const auto refused = atoll::parse_config(value);
  ASSERT_FALSE(refused);
  EXPECT_LT(refused.error().message().size(), 300U);
}

TEST(config_file, reads_what_it_printed) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const auto& value : {std::string(), std::string("a b # c"), std::string(" ' \" "), all}) {
    const auto found = atoll::parse_config(atoll::format_config_entry("key", value));
    ASSERT_TRUE(found) << found.error().to_string();
    EXPECT_EQ(*found, (entries{{"key", value, 1}}));
  }
}

class config_file_on_disk : public ::testing::Test {
 protected:
  config_file_on_disk() {
    std::string pattern = (std::filesystem::temp_directory_path() / "atoll_config_test.XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~config_file_on_disk() override { std::filesystem::remove_all(folder_); }

  std::string write(std::string_view content) {
    const auto path = folder_ / "file";
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  std::filesystem::path folder_;
};

TEST_F(config_file_on_disk, is_read_whole) {
  std::string content(atoll::config_file_bytes_max, 'x');
  content.replace(0, 4, std::string_view("a\0b\xff", 4));
  for (const auto& text : {std::string(), content}) {
    const auto found = atoll::read_config_file(write(text));
    ASSERT_TRUE(found) << found.error().to_string();
    EXPECT_EQ(*found, text);
  }
}

TEST_F(config_file_on_disk, is_refused_if_it_is_no_file_or_too_large) {
  EXPECT_EQ(atoll::read_config_file((folder_ / "missing").string()).error().code(), atoll::status_code::not_found);
  EXPECT_EQ(atoll::read_config_file(folder_.string()).error().message(), "is a directory");
  EXPECT_EQ(atoll::read_config_file("/dev/zero").error().message(), "is no regular file");
  const auto pipe = (folder_ / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(atoll::read_config_file(pipe).error().message(), "is no regular file");
  const auto large = atoll::read_config_file(write(std::string(atoll::config_file_bytes_max + 1, 'x')));
  EXPECT_EQ(large.error().code(), atoll::status_code::out_of_range);
}

}  // namespace
