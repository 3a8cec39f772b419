# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# cmake -DHOW=package|source -DBUILD=... -DSOURCE=... -DWORK=... -DCXX=... -P run.cmake: builds the consumer against the
# installed package, or with add_subdirectory, and runs it.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}\n${out}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
set(arguments -S "${SOURCE}/tests/install" -B "${WORK}/build" -G Ninja "-DCMAKE_CXX_COMPILER=${CXX}"
    -DCMAKE_BUILD_TYPE=Release -DATOLL_FROM=${HOW})
set(targets)
if(HOW STREQUAL "package")
  run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix")
  list(APPEND arguments "-DCMAKE_PREFIX_PATH=${WORK}/prefix")
else()
  # Without the gateway: that the libraries build inside another project is the point.
  list(APPEND arguments "-DATOLL_SOURCE=${SOURCE}" -DATOLL_GATEWAY=OFF)
  find_program(ccache ccache)
  if(ccache)
    list(APPEND arguments "-DCMAKE_CXX_COMPILER_LAUNCHER=${ccache}")
  endif()
endif()
run("${CMAKE_COMMAND}" ${arguments})
run("${CMAKE_COMMAND}" --build "${WORK}/build")
run("${WORK}/build/consumer" --shards 2)
if(EXISTS "${WORK}/build/gateway_consumer")
  run("${WORK}/build/gateway_consumer" --shards 2)
elseif(HOW STREQUAL "package" AND GATEWAY)
  message(FATAL_ERROR "the package has no atoll::gateway")
endif()
file(REMOVE_RECURSE "${WORK}")
