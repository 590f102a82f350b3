# What `make install` puts where. Man pages and completions are taken as they are found in the tree.
include(CMakePackageConfigHelpers)

install(TARGETS isle_shared isle_static EXPORT isle_targets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY include/isle DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")

set(cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/isle")
install(EXPORT isle_targets NAMESPACE isle:: FILE isleConfig.cmake DESTINATION "${cmake_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/generated/isleConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/generated/isleConfigVersion.cmake" DESTINATION "${cmake_dir}")

# Relative to the .pc file itself, so that a staged or moved tree still works.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" OUTPUT_VARIABLE pc_to_prefix)
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/generated/isle.pc" @ONLY CONTENT [[
prefix=${pcfiledir}/@pc_to_prefix@
libdir=${prefix}/@CMAKE_INSTALL_LIBDIR@
includedir=${prefix}/@CMAKE_INSTALL_INCLUDEDIR@

Name: isle
Description: @PROJECT_DESCRIPTION@
Version: @PROJECT_VERSION@
Cflags: -I${includedir}
Libs: -L${libdir} -lisle
]])
install(FILES "${CMAKE_BINARY_DIR}/generated/isle.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

file(GLOB pages CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/man/*.[1-8]")
foreach(page IN LISTS pages)
  string(REGEX MATCH "[1-8]$" section "${page}")
  install(FILES "${page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
endforeach()

# completions/NAME.bash, completions/_NAME (zsh), completions/NAME.fish
file(GLOB completions CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/completions/*")
foreach(completion IN LISTS completions)
  cmake_path(GET completion FILENAME name)
  if(name MATCHES "^(.*)\\.bash$")
    install(FILES "${completion}" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
      RENAME "${CMAKE_MATCH_1}")
  elseif(name MATCHES "^_")
    install(FILES "${completion}" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
  elseif(name MATCHES "\\.fish$")
    install(FILES "${completion}" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
  endif()
endforeach()
