// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/function_name.hh>

namespace atoll_root::atoll {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view root = "atoll_root::";

/// Where the bracket opens that the last character closes; npos where none does.
std::size_t opening_of_last(std::string_view text, char open, char close) noexcept {
  std::size_t depth = 0;
  for (std::size_t i = text.size(); i-- > 0;) {
    if (text[i] == close) ++depth;
    if (text[i] == open && --depth == 0) return i;
  }
  return npos;
}

void drop_suffix(std::string_view& text, std::string_view suffix) noexcept {
  if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
}

}  // namespace

std::string_view short_function_name(std::string_view whole) noexcept {
  std::string_view name = whole;
  if (name.ends_with(']')) {  // " [T = int]"
    const auto at = opening_of_last(name, '[', ']');
    if (at == npos || at == 0) return whole;
    name = name.substr(0, at - 1);
  }
  for (const std::string_view qualifier : {" noexcept", " &&", " &", " volatile", " const"}) {
    drop_suffix(name, qualifier);
  }
  if (!name.ends_with(')')) return whole;
  const auto parameters = opening_of_last(name, '(', ')');
  if (parameters == npos) return whole;
  name = name.substr(0, parameters);
  // An operator's name may have brackets that nothing closes: they are looked at from before it.
  const auto last_operator = name.rfind("operator");
  const bool is_operator =
      last_operator != npos && (last_operator == 0 || name[last_operator - 1] == ' ' || name[last_operator - 1] == ':');
  std::size_t depth = 0;
  std::size_t begin = is_operator ? last_operator : name.size();
  for (; begin > 0; --begin) {
    const char c = name[begin - 1];
    if (c == ' ' && depth == 0) break;
    if (c == ')' || c == '>' || c == '}') ++depth;
    if (c == '(' || c == '<' || c == '{') {
      if (depth == 0) break;
      --depth;
    }
  }
  name.remove_prefix(begin);
  if (name.starts_with(root)) name.remove_prefix(root.size());
  return name.empty() ? whole : name;
}

std::string_view lambda_given_to(std::string_view name) noexcept {
  // clang: "(lambda at FILE:LINE:COLUMN)", and FILE of the library's own ones ends like those here.
  constexpr std::string_view by_place = "(lambda at ";
  if (const auto at = name.rfind(by_place); at != npos) {
    const std::string_view lambda = name.substr(at + 1, name.find(')', at) - at - 1);
    return lambda.find("include/atoll/") == npos ? lambda : std::string_view();
  }
  // g++: "demo::get(int)::<lambda(int)>", as a template argument or as a parameter.
  constexpr std::string_view by_name = "<lambda(";
  for (auto at = name.rfind(by_name); at != npos && at > 0; at = name.rfind(by_name, at - 1)) {
    std::size_t begin = at;
    for (std::size_t depth = 0; begin > 0; --begin) {
      const char c = name[begin - 1];
      if (c == ')' || c == '>') ++depth;
      const bool opens = c == '(' || c == '<';
      if (depth == 0 && (opens || c == ' ' || c == ',')) break;
      if (opens) --depth;
    }
    const auto end = name.find(")>", at);
    const std::string_view lambda = name.substr(begin, end == npos ? npos : end + 2 - begin);
    if (!lambda.starts_with(root)) return lambda;
  }
  return {};
}

}  // namespace atoll_root::atoll
