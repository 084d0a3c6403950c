# What `cmake --install BUILD --component sdk` puts in place: headers, the library, the lint, and find_package(Perdure).
#
# The library is one object that holds the SDK, base/ and Temporal's API, and the server with its own copy of these is another: what
# is not of the face has no name outside. Protobuf and gRPC stay the system's.
include(GNUInstallDirs)
set(PERDURE_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/Perdure)

# The archives of ours that a target needs, itself included.
function(perdure_archives_below target result)
  list(APPEND ${result} ${target})
  get_target_property(dependencies ${target} INTERFACE_LINK_LIBRARIES)
  foreach(dependency ${dependencies})
    if(TARGET ${dependency} AND NOT ${dependency} IN_LIST ${result})
      get_target_property(type ${dependency} TYPE)
      get_target_property(imported ${dependency} IMPORTED)
      if(type STREQUAL STATIC_LIBRARY AND NOT imported)
        perdure_archives_below(${dependency} ${result})
      endif()
    endif()
  endforeach()
  set(${result} ${${result}} PARENT_SCOPE)
endfunction()

# Merges what a target needs into ${CMAKE_CURRENT_BINARY_DIR}/installed/OBJECT while it is installed.
function(perdure_merge target object)
  set(targets)
  perdure_archives_below(${target} targets)
  list(TRANSFORM targets REPLACE "(.+)" "$<TARGET_FILE:\\1>")
  install(CODE "
    file(MAKE_DIRECTORY \"${CMAKE_CURRENT_BINARY_DIR}/installed\")
    execute_process(
      COMMAND \"${CMAKE_COMMAND}\" \"-DCOMPILER=${CMAKE_CXX_COMPILER}\" \"-DNM=${CMAKE_NM}\" \"-DOBJCOPY=${CMAKE_OBJCOPY}\"
              \"-DLTO=$<BOOL:${CMAKE_INTERPROCEDURAL_OPTIMIZATION}>\"
              \"-DARCHIVES=${targets};${PERDURE_PROTO}/lib/libtemporal_api.a\"
              \"-DNAMES=${CMAKE_CURRENT_SOURCE_DIR}/cmake/visible_names.txt\"
              \"-DOUTPUT=${CMAKE_CURRENT_BINARY_DIR}/installed/${object}\" -P \"${CMAKE_CURRENT_SOURCE_DIR}/cmake/merge.cmake\"
      COMMAND_ERROR_IS_FATAL ANY)" COMPONENT sdk)
endfunction()

perdure_merge(perdure_sdk perdure.o)
perdure_merge(perdure_embedded perdure_embedded.o)
install(CODE "
  set(place \"${CMAKE_CURRENT_BINARY_DIR}/installed\")
  file(REMOVE \"\${place}/libperdure.a\")
  execute_process(COMMAND \"${CMAKE_AR}\" rcs \"\${place}/libperdure.a\" \"\${place}/perdure.o\"
                  COMMAND_ERROR_IS_FATAL ANY)" COMPONENT sdk)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/installed/libperdure.a ${CMAKE_CURRENT_BINARY_DIR}/installed/perdure_embedded.o
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/perdure COMPONENT sdk)
install(TARGETS perdure_hazards RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT sdk)
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/perdure DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk)
install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/cmake/PerdureConfig.cmake ${CMAKE_CURRENT_SOURCE_DIR}/cmake/PerdureWorkflows.cmake
        DESTINATION ${PERDURE_PACKAGE} COMPONENT sdk)
