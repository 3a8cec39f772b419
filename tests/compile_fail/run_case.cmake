# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# cmake -DCASE=x.cc -DCOMPILER=g++ -DFLAGS=-DA;-DB -DINCLUDE_ROOT=dir -P run_case.cmake: compiles one case.
#
# A case with lines `// EXPECT: text` has to fail to compile: with the first of the texts in the compiler's first
# error, because that is the one people read, and with the others anywhere; and in few lines. A case without such lines has to compile.
# Quoted source lines are turned off, so that the texts are found in messages alone. They are written as g++ writes
# types, without spaces before `*`, `&` and `(`, and without the `__cxx11::` of its library.
set(ENV{LC_ALL} C)  # plain quotes
execute_process(
  COMMAND ${COMPILER} -std=c++20 -fsyntax-only ${FLAGS} -I${INCLUDE_ROOT} ${CASE}
  RESULT_VARIABLE status
  OUTPUT_VARIABLE said
  ERROR_VARIABLE said)
file(STRINGS "${CASE}" expectations REGEX "^// EXPECT: ")

if(NOT expectations)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${CASE} has to compile:\n${said}")
  endif()
  return()
endif()
if(status EQUAL 0)
  message(FATAL_ERROR "${CASE} compiles, and should not")
endif()
string(REGEX REPLACE " ([*&(])" "\\1" plain "${said}")
string(REPLACE "std::__cxx11::" "std::" plain "${plain}")
string(REGEX MATCH "error: [^\n]*" where "${plain}")
foreach(line IN LISTS expectations)
  string(REPLACE "// EXPECT: " "" text "${line}")
  string(FIND "${where}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${CASE} fails to compile, but '${text}' is not said where it should be:\n${said}")
  endif()
  set(where "${plain}")
endforeach()

# Most have 5 to 15: what is said, and how the compiler came there.
set(lines_max 24)
string(REGEX MATCHALL "\n" lines "${said}")
list(LENGTH lines count)
if(count GREATER lines_max)
  message(FATAL_ERROR "${CASE}: ${count} lines, more than ${lines_max}:\n${said}")
endif()
