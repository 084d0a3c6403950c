# Temporal's API as a library, for a build of the SDK that was not told of one: compiled once, when the build tree is configured,
# into the tree itself (about 400 CPU seconds; a run that was broken off is continued by the next). Sets PERDURE_PROTO.
set(place ${CMAKE_BINARY_DIR}/proto)
if(NOT EXISTS ${place}/lib/libtemporal_api.a)
  message(STATUS "Compiling Temporal's API into ${place}; -DPERDURE_PROTO=DIR takes one that is there")
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_SOURCE_DIR}/../proto -B ${place}/build -G ${CMAKE_GENERATOR}
                          -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DCMAKE_BUILD_TYPE=None
                          -DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}
                          -DCMAKE_INSTALL_PREFIX=${place}
                  COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${place}/build --parallel COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${place}/build COMMAND_ERROR_IS_FATAL ANY)
endif()
set(PERDURE_PROTO ${place} CACHE PATH "Installed proto library (see ../proto/README.md)" FORCE)
