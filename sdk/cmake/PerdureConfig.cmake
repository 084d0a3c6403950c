# find_package(Perdure): the targets Perdure::client, Perdure::worker, Perdure::embedded, and perdure_add_workflows(target files…).
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Protobuf)

get_filename_component(PERDURE_PREFIX ${CMAKE_CURRENT_LIST_DIR}/../../.. ABSOLUTE)
file(GLOB_RECURSE PERDURE_ARCHIVE ${PERDURE_PREFIX}/*/perdure/libperdure_sdk.a ${PERDURE_PREFIX}/perdure/libperdure_sdk.a)
list(GET PERDURE_ARCHIVE 0 PERDURE_ARCHIVE)
get_filename_component(PERDURE_ARCHIVES ${PERDURE_ARCHIVE} DIRECTORY)
find_path(PERDURE_INCLUDE perdure/workflow.h HINTS ${PERDURE_PREFIX}/include ${PERDURE_PREFIX}/../include NO_DEFAULT_PATH REQUIRED)
find_program(PERDURE_HAZARDS perdure-hazards HINTS ${PERDURE_PREFIX}/bin ${PERDURE_PREFIX}/../bin NO_DEFAULT_PATH REQUIRED)

if(NOT TARGET Perdure::client)
  add_library(Perdure::client INTERFACE IMPORTED)
  target_include_directories(Perdure::client INTERFACE ${PERDURE_INCLUDE})
  target_compile_features(Perdure::client INTERFACE cxx_std_20)
  target_link_libraries(Perdure::client INTERFACE
    ${PERDURE_ARCHIVES}/libperdure_sdk.a ${PERDURE_ARCHIVES}/libbase.a ${PERDURE_ARCHIVES}/libtemporal_api.a
    -Wl,--copy-dt-needed-entries grpc++ grpc gpr protobuf::libprotobuf Threads::Threads)
  add_library(Perdure::worker INTERFACE IMPORTED)
  target_link_libraries(Perdure::worker INTERFACE Perdure::client)
  file(GLOB PERDURE_EMBEDDED ${PERDURE_ARCHIVES}/embedded/*.a)
  add_library(Perdure::embedded INTERFACE IMPORTED)
  target_link_libraries(Perdure::embedded INTERFACE
    -Wl,--start-group ${PERDURE_EMBEDDED} -Wl,--end-group Perdure::client sqlite3 nghttp2 xxhash date-tz z crypto)
  add_executable(Perdure::hazards IMPORTED)
  set_target_properties(Perdure::hazards PROPERTIES IMPORTED_LOCATION ${PERDURE_HAZARDS})
endif()
include(${CMAKE_CURRENT_LIST_DIR}/PerdureWorkflows.cmake)
