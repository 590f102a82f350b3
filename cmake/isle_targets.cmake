# How isle's targets are made. Nothing here knows one layer from another, except that the executor is special.

# Flags ---------------------------------------------------------------------------------------------------------

# Spec is plain data: who writes one names the members that matter and leaves the rest at their defaults.
add_library(isle_warnings INTERFACE)
target_compile_features(isle_warnings INTERFACE cxx_std_23)
target_compile_options(isle_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-missing-field-initializers $<$<BOOL:${ISLE_WERROR}>:-Werror>
  # g++ 12 sees overlapping copies in any inlined `"text" + std::string` (GCC bug 105651)
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
target_include_directories(isle_warnings INTERFACE
  "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>" "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/src>")

add_library(isle_hosted INTERFACE)
separate_arguments(instrument UNIX_COMMAND "${ISLE_INSTRUMENT}")
target_compile_options(isle_hosted INTERFACE -ffunction-sections -fdata-sections ${instrument})
target_link_options(isle_hosted INTERFACE ${instrument})
target_link_libraries(isle_hosted INTERFACE isle_warnings)

# Code that runs between clone and exec may be the child of a process with many threads: no heap, no unwinder, no
# guard variable, no sanitizer run-time, and no libc beyond what tools/check_exec_symbols allows. It is optimised in
# every preset, so that what is tested is what is shipped.
add_library(isle_freestanding INTERFACE)
target_compile_options(isle_freestanding INTERFACE
  -O2 -ffreestanding -fno-builtin -fno-stack-protector
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-tree-loop-distribute-patterns>
  -fno-asynchronous-unwind-tables -fno-unwind-tables -ffunction-sections -fdata-sections -fvisibility=hidden
  -U_FORTIFY_SOURCE -U_GLIBCXX_ASSERTIONS -fcf-protection=none
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics>)
target_link_libraries(isle_freestanding INTERFACE isle_warnings)

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")

# Sources -------------------------------------------------------------------------------------------------------

function(isle_sources result folder)
  file(GLOB found CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.cc" "${CMAKE_SOURCE_DIR}/${folder}/*.S")
  set(${result} ${found} PARENT_SCOPE)
endfunction()

# isle_layer(NAME [FREESTANDING] [APART]): the objects of src/NAME, part of libisle; APART: not of it, for what it needs
# shall not be needed by all. A folder without sources is no error: a layer may be headers only.
function(isle_layer name)
  cmake_parse_arguments(arg "FREESTANDING;APART" "" "" ${ARGN})
  isle_sources(sources src/${name})
  if(NOT sources)
    return()
  endif()
  add_library(isle_${name} OBJECT ${sources})
  if(arg_FREESTANDING)
    target_link_libraries(isle_${name} PRIVATE isle_freestanding)
    set_property(GLOBAL APPEND PROPERTY ISLE_FREESTANDING_LAYERS isle_${name})
  else()
    target_link_libraries(isle_${name} PRIVATE isle_hosted isle_third_party)
  endif()
  if(NOT arg_APART)
    set_property(GLOBAL APPEND PROPERTY ISLE_LAYERS isle_${name})
  endif()
endfunction()

# isle-exec: the executor as a program of its own, without libc, handed to the kernel from memory (docs/design.md).
# Its bytes become part of libisle between the symbols isle_exec_image_begin and isle_exec_image_end; an installed
# copy is what is used where a memfd cannot be executed.
function(isle_exec_helper)
  set(install_path "${CMAKE_INSTALL_FULL_LIBEXECDIR}/isle/isle-exec")
  set(image "${CMAKE_BINARY_DIR}/libexec/isle/isle-exec")
  set(assembly "${CMAKE_BINARY_DIR}/generated/exec_image.S")
  isle_sources(sources src/exec_helper)
  get_property(layers GLOBAL PROPERTY ISLE_FREESTANDING_LAYERS)
  if(sources)
    add_executable(isle-exec ${sources})
    set_target_properties(isle-exec PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/libexec/isle")
    target_compile_options(isle-exec PRIVATE -Os)
    target_link_libraries(isle-exec PRIVATE isle_freestanding ${layers})
    target_link_options(isle-exec PRIVATE -nostdlib -static -s
      -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noexecstack)
    install(TARGETS isle-exec DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/isle")
    set(include_image ".incbin \"${image}\"")
  else()
    set(include_image "")
  endif()
  file(CONFIGURE OUTPUT "${assembly}" @ONLY CONTENT [[
    .section .rodata
    .balign 16
    .globl isle_exec_image_begin
    .globl isle_exec_image_end
isle_exec_image_begin:
    @include_image@
isle_exec_image_end:
    .byte 0
    .section .note.GNU-stack,"",%progbits
]])
  add_library(isle_exec_image OBJECT "${assembly}")
  if(sources)
    set_source_files_properties("${assembly}" PROPERTIES OBJECT_DEPENDS "${image}")
    add_dependencies(isle_exec_image isle-exec)
  endif()
  set_property(GLOBAL APPEND PROPERTY ISLE_LAYERS isle_exec_image)
  if(TARGET isle_run)
    target_compile_definitions(isle_run PRIVATE ISLE_EXEC_INSTALLED="${install_path}")
  endif()
endfunction()

# libisle, shared (isle::isle) and static (isle::isle_static), from the same objects.
function(isle_library)
  get_property(layers GLOBAL PROPERTY ISLE_LAYERS)
  list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  foreach(kind SHARED STATIC)
    string(TOLOWER isle_${kind} target)
    add_library(${target} ${kind} ${objects})
    target_compile_features(${target} PUBLIC cxx_std_23)
    target_include_directories(${target} PUBLIC
      "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    target_link_options(${target} PRIVATE ${instrument})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME isle LINKER_LANGUAGE CXX)
  endforeach()
  # Before 1.0 a minor version may change the interface, so it is part of the soname.
  set(ISLE_ABI ${PROJECT_VERSION_MAJOR})
  if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(ISLE_ABI 0.${PROJECT_VERSION_MINOR})
  endif()
  set_target_properties(isle_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${ISLE_ABI} EXPORT_NAME isle)
  set(map "${CMAKE_BINARY_DIR}/generated/isle.map")
  configure_file("${CMAKE_CURRENT_FUNCTION_LIST_DIR}/isle.map.in" "${map}" @ONLY)
  target_link_options(isle_shared PRIVATE "-Wl,--version-script=${map}")
  set_property(TARGET isle_shared PROPERTY LINK_DEPENDS "${map}")
  add_library(isle::isle ALIAS isle_shared)
  add_library(isle::isle_static ALIAS isle_static)
endfunction()

# isle_command(NAME FOLDER): an installed program. Static and at a fixed address, because a dynamic one takes twice
# as long to start; dynamic where an instrument needs its run-time. All but its main.cc is isle_NAME_parts, which
# unit tests link. LINKS: other names for it, beside it.
function(isle_command name folder)
  cmake_parse_arguments(arg "" "" "LINKS" ${ARGN})
  isle_sources(sources ${folder})
  if(NOT sources)
    return()
  endif()
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  add_library(isle_${name}_parts OBJECT ${sources})
  target_link_libraries(isle_${name}_parts PRIVATE isle_hosted isle_third_party)
  add_executable(isle_command_${name} "${CMAKE_SOURCE_DIR}/${folder}/main.cc" $<TARGET_OBJECTS:isle_${name}_parts>)
  set_target_properties(isle_command_${name} PROPERTIES OUTPUT_NAME ${name})
  target_link_libraries(isle_command_${name} PRIVATE isle_static isle_hosted isle_third_party)
  if(ISLE_STATIC)
    # What is not in the file is not in memory: pages come in by sixteens.
    target_link_options(isle_command_${name} PRIVATE -static -Wl,--gc-sections)
    if(ISLE_START_ORDER AND EXISTS "${start_orders}/${name}.ld")
      target_link_options(isle_command_${name} PRIVATE "-Wl,-T,${start_orders}/${name}.ld")
      set_property(TARGET isle_command_${name} PROPERTY LINK_DEPENDS "${start_orders}/${name}.ld")
    endif()
  endif()
  if(ISLE_LIGHT_START)
    target_sources(isle_command_${name} PRIVATE "${light_start_source}")
  endif()
  install(TARGETS isle_command_${name} DESTINATION "${CMAKE_INSTALL_BINDIR}")
  foreach(link IN LISTS arg_LINKS)
    add_custom_command(TARGET isle_command_${name} POST_BUILD
      COMMAND "${CMAKE_COMMAND}" -E create_symlink ${name} "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${link}")
    install(FILES "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${link}" DESTINATION "${CMAKE_INSTALL_BINDIR}")
  endforeach()
endfunction()

# isle_bench_programs(FOLDER): each .c file a static program in BUILD/bench, to stand beside isle: nothing of isle is in
# them. One that brings its own _start has no libc in it.
function(isle_bench_programs folder)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.c")
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM stem)
    add_executable(bench_${stem} ${source})
    set_target_properties(bench_${stem} PROPERTIES
      OUTPUT_NAME ${stem} RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench"
      C_STANDARD 17 POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(bench_${stem} PRIVATE -O2 -Wall -Wextra)
    target_link_options(bench_${stem} PRIVATE -static)
    file(STRINGS "${source}" own_start REGEX "void _start\\(" LIMIT_COUNT 1)
    # The floor starts as lightly as isle does, lest a slow start of it flatter isle.
    if(ISLE_LIGHT_START AND stem STREQUAL "floor")
      target_sources(bench_${stem} PRIVATE "${light_start_source}")
    endif()
    if(own_start)
      target_compile_options(bench_${stem} PRIVATE -ffreestanding -fno-stack-protector)
      target_link_options(bench_${stem} PRIVATE -nostdlib)
    endif()
  endforeach()

  # ... and each .cc file a program on libisle, as its users write them.
  find_package(Threads REQUIRED)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.cc")
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM stem)
    add_executable(bench_${stem} ${source})
    set_target_properties(bench_${stem} PROPERTIES
      OUTPUT_NAME ${stem} RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench")
    target_link_libraries(bench_${stem} PRIVATE isle_static isle_hosted Threads::Threads)
  endforeach()
endfunction()

# isle_fuzzers(FOLDER): a libFuzzer program a file. They may use the command's translation of its arguments, and the
# machines that golden plans are made for.
function(isle_fuzzers folder)
  isle_sources(sources ${folder})
  add_library(isle_fuzz_parts STATIC
    "${CMAKE_SOURCE_DIR}/tests/golden/hosts.cc" "${CMAKE_SOURCE_DIR}/tests/golden/cases.cc"
    $<TARGET_OBJECTS:isle_isle_parts>)
  target_include_directories(isle_fuzz_parts PUBLIC "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(isle_fuzz_parts PUBLIC isle_static isle_hosted isle_third_party)
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM stem)
    add_executable(fuzz_${stem} ${source})
    set_target_properties(fuzz_${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
    target_link_libraries(fuzz_${stem} PRIVATE isle_fuzz_parts)
    target_link_options(fuzz_${stem} PRIVATE -fsanitize=fuzzer)
  endforeach()
endfunction()
