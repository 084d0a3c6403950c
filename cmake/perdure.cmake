# How every library and test of the project is declared. Dependencies are CMake targets; include paths start at the repository root.
#
#   perdure_library(server_core SOURCES a.cc b.cc DEPS base proto [PROTO])
#   perdure_test(server_core_test SOURCES a_test.cc DEPS server_core [PROTO] [LABELS slow])
#
# PROTO: the files include Temporal's generated headers, which are precompiled once per build tree (1.4 s instead of 10 s a file).

get_filename_component(PERDURE_ROOT ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
set(PERDURE_PROTO "" CACHE PATH "Installed proto library (made by ./dev from proto/)")
if(NOT EXISTS ${PERDURE_PROTO}/lib/libtemporal_api.a)
  message(FATAL_ERROR "PERDURE_PROTO does not name an installed proto library; build with ./dev build")
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
# gRPC's own client, for tests. Named by hand: asking pkg-config for it takes half a minute of each configuration.
add_library(grpc_client INTERFACE)
target_link_libraries(grpc_client INTERFACE -Wl,--copy-dt-needed-entries grpc++ grpc gpr)

# What the server needs is linked into it where there is an archive: calls cost less, and the start is quicker.
set(CMAKE_FIND_LIBRARY_SUFFIXES .a .so)
find_package(Protobuf REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_library(JEMALLOC jemalloc REQUIRED)

add_library(temporal_api STATIC IMPORTED GLOBAL)
set_target_properties(temporal_api PROPERTIES IMPORTED_LOCATION ${PERDURE_PROTO}/lib/libtemporal_api.a)
target_include_directories(temporal_api SYSTEM INTERFACE ${PERDURE_PROTO}/include)
target_link_libraries(temporal_api INTERFACE protobuf::libprotobuf Threads::Threads)

option(PERDURE_WERROR "Warnings are errors" ON)
# Deprecated fields of the API are part of the wire that must be served: -Wno-deprecated-declarations.
add_library(perdure_flags INTERFACE)
target_compile_options(perdure_flags INTERFACE
  -Wall -Wextra $<$<BOOL:${PERDURE_WERROR}>:-Werror> -Wno-missing-field-initializers -Wno-deprecated-declarations
  -fno-omit-frame-pointer)
target_include_directories(perdure_flags INTERFACE ${PERDURE_ROOT})
target_link_libraries(perdure_flags INTERFACE Threads::Threads)
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  # Without it ccache never finds a precompiled header.
  target_compile_options(perdure_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()
set(PERDURE_SANITIZE "" CACHE STRING "Sanitizers of this build tree, as in -fsanitize=")
if(PERDURE_SANITIZE)
  target_compile_options(perdure_flags INTERFACE -fsanitize=${PERDURE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(perdure_flags INTERFACE -fsanitize=${PERDURE_SANITIZE})
endif()

option(PERDURE_FUZZ "The targets of tests/fuzz are libFuzzer's, and lines are counted" OFF)
if(PERDURE_FUZZ)
  target_compile_options(perdure_flags INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(perdure_flags INTERFACE -fprofile-instr-generate)
endif()

# The one translation unit that pays for the proto headers.
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/proto_pch.cc CONTENT "// Holds the precompiled header of the proto users.\n")
add_library(proto_pch OBJECT ${CMAKE_BINARY_DIR}/proto_pch.cc)
target_link_libraries(proto_pch PRIVATE perdure_flags temporal_api)
target_precompile_headers(proto_pch PRIVATE
  <algorithm> <chrono> <cstdint> <deque> <expected> <functional> <map> <memory> <optional> <string> <string_view> <unordered_map>
  <variant> <vector>
  <google/protobuf/timestamp.pb.h> <google/protobuf/duration.pb.h>
  <temporal/api/errordetails/v1/message.pb.h>
  <temporal/api/history/v1/message.pb.h>
  <temporal/api/operatorservice/v1/request_response.pb.h>
  <temporal/api/workflowservice/v1/request_response.pb.h>)

function(perdure_target_ target)
  cmake_parse_arguments(ARG "PROTO" "" "SOURCES;DEPS;LABELS" ${ARGN})
  target_link_libraries(${target} PUBLIC perdure_flags ${ARG_DEPS})
  if(ARG_PROTO)
    target_link_libraries(${target} PUBLIC temporal_api)
    target_precompile_headers(${target} REUSE_FROM proto_pch)
  endif()
endfunction()

function(perdure_library target)
  cmake_parse_arguments(ARG "PROTO" "" "SOURCES;DEPS" ${ARGN})
  add_library(${target} STATIC ${ARG_SOURCES})
  perdure_target_(${target} ${ARGN})
endfunction()

function(perdure_test target)
  cmake_parse_arguments(ARG "PROTO" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${target} ${ARG_SOURCES})
  perdure_target_(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE GTest::gtest GTest::gtest_main)
  add_test(NAME ${target} COMMAND ${target} WORKING_DIRECTORY ${PERDURE_ROOT})
  set_tests_properties(${target} PROPERTIES TIMEOUT 300 LABELS "${ARG_LABELS}")
endfunction()
