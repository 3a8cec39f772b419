# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# The options of the build, and the flags every target of ours is compiled with.
option(ATOLL_GATEWAY "Build the gRPC gateway (needs grpc++ and protobuf)" ON)
option(ATOLL_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(ATOLL_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(ATOLL_BENCH "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(ATOLL_INSTALL "Make install rules" ${PROJECT_IS_TOP_LEVEL})
set(ATOLL_SANITIZE "" CACHE STRING "Sanitizers: empty, address (with undefined) or thread")

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  find_program(ATOLL_CCACHE ccache)
  if(ATOLL_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${ATOLL_CCACHE}")
  endif()
  find_program(ATOLL_MOLD mold)
  if(ATOLL_MOLD)
    add_link_options(-fuse-ld=mold)
  endif()
endif()

set(ATOLL_SANITIZE_FLAGS "")
if(ATOLL_SANITIZE STREQUAL "address")
  set(ATOLL_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(ATOLL_SANITIZE STREQUAL "thread")
  set(ATOLL_SANITIZE_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
elseif(NOT ATOLL_SANITIZE STREQUAL "")
  message(FATAL_ERROR "ATOLL_SANITIZE is '${ATOLL_SANITIZE}'; it can be empty, address or thread")
endif()

# Warnings are errors, in our own code only.
set(ATOLL_WARNINGS -Wall -Wextra -Wpedantic -Wshadow=local -Wnon-virtual-dtor -Woverloaded-virtual
    -Wconversion -Wsign-conversion -Wcast-qual -Wformat=2 -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  list(REMOVE_ITEM ATOLL_WARNINGS -Wshadow=local)
  list(APPEND ATOLL_WARNINGS -Wshadow-uncaptured-local)
endif()

# The flags of a target of ours.
function(atoll_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE ${ATOLL_WARNINGS} ${ATOLL_SANITIZE_FLAGS})
  target_link_options(${target} PRIVATE ${ATOLL_SANITIZE_FLAGS})
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
endfunction()
