# find_package(Perdure): the targets Perdure::client, Perdure::worker, Perdure::embedded, and perdure_add_workflows(target files…).
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Protobuf)

get_filename_component(PERDURE_LIBRARIES ${CMAKE_CURRENT_LIST_DIR}/../../perdure ABSOLUTE)
get_filename_component(PERDURE_PREFIX ${CMAKE_CURRENT_LIST_DIR}/../../.. ABSOLUTE)
find_path(PERDURE_INCLUDE perdure/workflow.h HINTS ${PERDURE_PREFIX}/include ${PERDURE_PREFIX}/../include NO_DEFAULT_PATH REQUIRED)
find_program(PERDURE_HAZARDS perdure-hazards HINTS ${PERDURE_PREFIX}/bin ${PERDURE_PREFIX}/../bin NO_DEFAULT_PATH REQUIRED)

if(NOT TARGET Perdure::client)
  add_library(Perdure::client INTERFACE IMPORTED)
  target_include_directories(Perdure::client INTERFACE ${PERDURE_INCLUDE})
  target_compile_features(Perdure::client INTERFACE cxx_std_20)
  target_link_libraries(Perdure::client INTERFACE
    ${PERDURE_LIBRARIES}/libperdure.a
    -Wl,--copy-dt-needed-entries grpc++ grpc gpr protobuf::libprotobuf Threads::Threads)
  add_library(Perdure::worker INTERFACE IMPORTED)
  target_link_libraries(Perdure::worker INTERFACE Perdure::client)
  # The object holds all that libperdure.a does, and is linked before it, so that nothing of that one is.
  add_library(Perdure::embedded INTERFACE IMPORTED)
  target_link_options(Perdure::embedded INTERFACE ${PERDURE_LIBRARIES}/perdure_embedded.o)
  set_property(TARGET Perdure::embedded PROPERTY INTERFACE_LINK_DEPENDS ${PERDURE_LIBRARIES}/perdure_embedded.o)
  target_link_libraries(Perdure::embedded INTERFACE Perdure::client sqlite3 nghttp2 xxhash date-tz z crypto)
  add_executable(Perdure::hazards IMPORTED)
  set_target_properties(Perdure::hazards PROPERTIES IMPORTED_LOCATION ${PERDURE_HAZARDS})
endif()
include(${CMAKE_CURRENT_LIST_DIR}/PerdureWorkflows.cmake)
