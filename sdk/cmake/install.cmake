# What `cmake --install BUILD --component sdk` puts in place: headers, archives, the lint, and find_package(Perdure).
#
# The archives of protobuf and gRPC stay the system's; that of Temporal's API and of base/ are ours and private.
include(GNUInstallDirs)
set(PERDURE_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/Perdure)
install(TARGETS perdure_sdk base ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/perdure COMPONENT sdk)

# The embedded server is many archives of ours.
function(perdure_archives_below target result)
  get_target_property(dependencies ${target} INTERFACE_LINK_LIBRARIES)
  foreach(dependency ${dependencies})
    if(TARGET ${dependency})
      get_target_property(type ${dependency} TYPE)
      get_target_property(imported ${dependency} IMPORTED)
      if(type STREQUAL STATIC_LIBRARY AND NOT imported AND NOT ${dependency} IN_LIST ${result})
        list(APPEND ${result} ${dependency})
        perdure_archives_below(${dependency} ${result})
      endif()
    endif()
  endforeach()
  set(${result} ${${result}} PARENT_SCOPE)
endfunction()
set(PERDURE_EMBEDDED_ARCHIVES perdure_embedded)
perdure_archives_below(perdure_embedded PERDURE_EMBEDDED_ARCHIVES)
list(REMOVE_ITEM PERDURE_EMBEDDED_ARCHIVES perdure_sdk base)
install(TARGETS ${PERDURE_EMBEDDED_ARCHIVES} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/perdure/embedded COMPONENT sdk)
install(FILES ${PERDURE_PROTO}/lib/libtemporal_api.a DESTINATION ${CMAKE_INSTALL_LIBDIR}/perdure COMPONENT sdk)
install(TARGETS perdure_hazards RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT sdk)
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/perdure DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk)
install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/cmake/PerdureConfig.cmake ${CMAKE_CURRENT_SOURCE_DIR}/cmake/PerdureWorkflows.cmake
        DESTINATION ${PERDURE_PACKAGE} COMPONENT sdk)
