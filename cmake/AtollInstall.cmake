# SPDX-License-Identifier: Apache-2.0
# Copyright the Atoll authors
#
# cmake --install gives a package: find_package(atoll) finds the targets atoll::actors, atoll::sharding, atoll::rpc and,
# where they were built, atoll::gateway and atoll::testing.
include(CMakePackageConfigHelpers)

get_property(layers GLOBAL PROPERTY ATOLL_LAYERS)
install(TARGETS ${layers} EXPORT atoll-targets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/atoll")
install(EXPORT atoll-targets NAMESPACE atoll:: DESTINATION "${package_folder}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/atoll-config.cmake.in" "${PROJECT_BINARY_DIR}/atoll-config.cmake"
                              INSTALL_DESTINATION "${package_folder}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/atoll-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/atoll-config.cmake" "${PROJECT_BINARY_DIR}/atoll-config-version.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindNuma.cmake"
        DESTINATION "${package_folder}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
