# Other people's libraries, one interface for all layers. None of them shows in a public header, so whoever links
# libisle needs none of them.
find_package(fmt 9 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)

add_library(isle_third_party INTERFACE)
target_link_libraries(isle_third_party INTERFACE nlohmann_json::nlohmann_json)

# Distributions ship {fmt} as a shared library or as headers. The command is static, and header-only costs 2 s a
# file, so isle compiles {fmt}'s own headers once; where their shape is not known, header-only it is.
get_target_property(fmt_include fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
target_include_directories(isle_third_party SYSTEM INTERFACE ${fmt_include})
if(fmt_VERSION VERSION_LESS 11)
  add_library(isle_fmt OBJECT "${CMAKE_CURRENT_LIST_DIR}/fmt_instances.cc")
  target_compile_features(isle_fmt PRIVATE cxx_std_23)
  target_compile_options(isle_fmt PRIVATE -ffunction-sections -fvisibility=hidden ${instrument})
  target_include_directories(isle_fmt SYSTEM PRIVATE ${fmt_include})
  set_property(GLOBAL APPEND PROPERTY ISLE_LAYERS isle_fmt)
else()
  target_compile_definitions(isle_third_party INTERFACE FMT_HEADER_ONLY)
endif()

# Of the commands that make filters of profiles only (src/seccomp); static as they are.
find_path(libseccomp_include seccomp.h REQUIRED)
find_library(libseccomp_library NAMES libseccomp.a seccomp REQUIRED)
add_library(isle_libseccomp INTERFACE)
target_include_directories(isle_libseccomp SYSTEM INTERFACE "${libseccomp_include}")
target_link_libraries(isle_libseccomp INTERFACE "${libseccomp_library}")
mark_as_advanced(libseccomp_include libseccomp_library)
