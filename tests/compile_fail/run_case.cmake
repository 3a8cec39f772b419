# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# cmake -DCASE=x.cc -DCOMPILER=g++ -DFLAGS=-DA;-DB -DINCLUDE_ROOT=dir -P run_case.cmake: compiles one case.
#
# A case with lines `// EXPECT: text` has to fail to compile, with each of the texts in what the compiler says;
# one without has to compile. Quoted source lines are turned off, so that a text is found in messages alone,
# and `int *` counts as `int*`, because clang writes the one and g++ the other.
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
string(REGEX REPLACE " ([*&])" "\\1" plain "${said}")
foreach(line IN LISTS expectations)
  string(REPLACE "// EXPECT: " "" text "${line}")
  string(FIND "${plain}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${CASE} fails to compile, but nothing says '${text}':\n${said}")
  endif()
endforeach()
