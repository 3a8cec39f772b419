# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# atoll_layer(NAME [FOLDER dir] HEADERS ... SOURCES ... LINKS ... PRIVATE_LINKS ...): one layer, one library.
#
# Headers lie beside sources and everyone includes <atoll/LAYER/...>: in the build tree that prefix is a folder
# of links to the source folders, and the header FILE_SET that installs them has that folder as its base.
set(ATOLL_INCLUDE_ROOT "${PROJECT_BINARY_DIR}/include")
file(MAKE_DIRECTORY "${ATOLL_INCLUDE_ROOT}/atoll")

function(atoll_layer name)
  cmake_parse_arguments(LAYER "" "FOLDER" "HEADERS;SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  if(NOT LAYER_FOLDER)
    set(LAYER_FOLDER ${name})
  endif()
  string(REGEX MATCH "^[^/]+" top "${LAYER_FOLDER}")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${top}" "${ATOLL_INCLUDE_ROOT}/atoll/${top}" SYMBOLIC)

  add_library(atoll_${name} STATIC ${LAYER_SOURCES})
  add_library(atoll::${name} ALIAS atoll_${name})
  set_target_properties(atoll_${name} PROPERTIES EXPORT_NAME ${name})
  list(TRANSFORM LAYER_HEADERS PREPEND "${ATOLL_INCLUDE_ROOT}/atoll/${LAYER_FOLDER}/")
  target_sources(atoll_${name} PUBLIC FILE_SET HEADERS BASE_DIRS "${ATOLL_INCLUDE_ROOT}"
                 FILES ${LAYER_HEADERS})
  target_link_libraries(atoll_${name} PUBLIC ${LAYER_LINKS} PRIVATE ${LAYER_PRIVATE_LINKS})
  atoll_compile_options(atoll_${name})
  set_property(GLOBAL APPEND PROPERTY ATOLL_LAYERS atoll_${name})
endfunction()
