# Temporal's API as a library, for a build of the SDK that was not told of one: compiled once, when the build tree is configured,
# into the tree itself (about 400 CPU seconds). Sets PERDURE_PROTO.
set(PERDURE_PROTO ${CMAKE_BINARY_DIR}/proto CACHE PATH "Installed proto library (see ../proto/README.md)" FORCE)
if(NOT EXISTS ${PERDURE_PROTO}/lib/libtemporal_api.a)
  message(STATUS "Compiling Temporal's API into ${PERDURE_PROTO}; -DPERDURE_PROTO=DIR takes one that is there")
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/../proto)
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${source} -B ${PERDURE_PROTO}/build -G ${CMAKE_GENERATOR}
                          -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DCMAKE_BUILD_TYPE=None
                          -DCMAKE_INSTALL_PREFIX=${PERDURE_PROTO}
                  COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${PERDURE_PROTO}/build --parallel COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${PERDURE_PROTO}/build COMMAND_ERROR_IS_FATAL ANY)
endif()
