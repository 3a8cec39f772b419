# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# atoll_layer(NAME [FOLDER dir] [PREFIX dir] HEADERS ... SOURCES ... LINKS ... PRIVATE_LINKS ...): one layer,
# one library. The sources lie in FOLDER (default NAME), the headers are included as <atoll/PREFIX/...> (default: as
# FOLDER).
#
# Headers lie beside sources: in the build tree the prefix is a folder of links to the source folders, and the header
# FILE_SET that installs them has that folder as its base.
set(ATOLL_INCLUDE_ROOT "${PROJECT_BINARY_DIR}/include")
file(MAKE_DIRECTORY "${ATOLL_INCLUDE_ROOT}/atoll")

function(atoll_layer name)
  cmake_parse_arguments(LAYER "" "FOLDER;PREFIX" "HEADERS;SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  if(NOT LAYER_FOLDER)
    set(LAYER_FOLDER ${name})
  endif()
  if(NOT LAYER_PREFIX)
    set(LAYER_PREFIX ${LAYER_FOLDER})
  endif()
  cmake_path(GET LAYER_PREFIX PARENT_PATH above)
  file(MAKE_DIRECTORY "${ATOLL_INCLUDE_ROOT}/atoll/${above}")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${LAYER_FOLDER}" "${ATOLL_INCLUDE_ROOT}/atoll/${LAYER_PREFIX}" SYMBOLIC)

  add_library(atoll_${name} STATIC ${LAYER_SOURCES})
  add_library(atoll::${name} ALIAS atoll_${name})
  set_target_properties(atoll_${name} PROPERTIES EXPORT_NAME ${name})
  list(TRANSFORM LAYER_HEADERS PREPEND "${ATOLL_INCLUDE_ROOT}/atoll/${LAYER_PREFIX}/")
  target_sources(atoll_${name} PUBLIC FILE_SET HEADERS BASE_DIRS "${ATOLL_INCLUDE_ROOT}"
                 FILES ${LAYER_HEADERS})
  target_link_libraries(atoll_${name} PUBLIC ${LAYER_LINKS} PRIVATE ${LAYER_PRIVATE_LINKS})
  atoll_compile_options(atoll_${name})
  set_property(GLOBAL APPEND PROPERTY ATOLL_LAYERS atoll_${name})
endfunction()
