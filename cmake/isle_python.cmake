# The Python package: python/src as the extension module isle._isle on the static libisle, beside links to the package's
# Python files in BUILD/python, which is a directory for PYTHONPATH. Left out where Python's headers or pybind11 are
# missing, and where an instrument's run-time would have to be in the interpreter.
if(NOT ISLE_PYTHON OR ISLE_INSTRUMENT)
  return()
endif()
# The system's interpreter goes before one that happens to be first on PATH: the packages are for that one.
if(NOT DEFINED Python_EXECUTABLE AND EXISTS /usr/bin/python3)
  set(Python_EXECUTABLE /usr/bin/python3)
endif()
find_package(Python 3.9 QUIET COMPONENTS Interpreter Development.Module)
set(PYBIND11_FINDPYTHON ON)
if(Python_FOUND)
  find_package(pybind11 2.10 QUIET)
else()  # tools/build sees by this that it is worth another look once packages were installed
  set(pybind11_DIR pybind11_DIR-NOTFOUND CACHE PATH "" FORCE)
endif()
if(NOT Python_FOUND OR NOT pybind11_FOUND)
  message(STATUS "no Python headers or no pybind11: no Python package")
  return()
endif()

isle_sources(python_sources python/src)
pybind11_add_module(isle_python MODULE NO_EXTRAS ${python_sources})
target_include_directories(isle_python PRIVATE "${CMAKE_SOURCE_DIR}/python/src")
target_link_libraries(isle_python PRIVATE isle_static isle_hosted)
# The names of libisle stay inside, lest two extensions that hold it meet.
target_link_options(isle_python PRIVATE -Wl,--exclude-libs,ALL -Wl,--gc-sections)
set(python_package "${CMAKE_BINARY_DIR}/python/isle")
set_target_properties(isle_python PROPERTIES OUTPUT_NAME _isle LIBRARY_OUTPUT_DIRECTORY "${python_package}")

file(GLOB python_files CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/python/isle/*.py" "${CMAKE_SOURCE_DIR}/python/isle/*.pyi"
  "${CMAKE_SOURCE_DIR}/python/isle/py.typed")
file(MAKE_DIRECTORY "${python_package}")
foreach(file IN LISTS python_files)
  cmake_path(GET file FILENAME name)
  file(CREATE_LINK "${file}" "${python_package}/${name}" SYMBOLIC)
endforeach()

# Where the interpreter looks below the prefix: lib/python3/dist-packages, lib/python3.11/site-packages ...
execute_process(OUTPUT_VARIABLE python_dir OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND "${Python_EXECUTABLE}" -c [[
import site, sys, sysconfig
lib = sys.argv[1] + "/lib"
below = [path for path in site.getsitepackages() if path.startswith(lib)]
print((below or [sysconfig.get_path("purelib", "posix_prefix", {"base": sys.argv[1]})])[0])]] "${CMAKE_INSTALL_PREFIX}")
install(TARGETS isle_python DESTINATION "${python_dir}/isle")
install(FILES ${python_files} DESTINATION "${python_dir}/isle")
