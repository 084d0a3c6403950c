# What `cmake --install BUILD --component sdk` puts in place: headers, archives, the lint, and find_package(Perdure).
#
# The archives of protobuf and gRPC stay the system's; that of Temporal's API and of base/ are ours and private.
include(GNUInstallDirs)
set(PERDURE_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/Perdure)
install(TARGETS perdure_sdk base ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/perdure COMPONENT sdk)
install(FILES ${PERDURE_PROTO}/lib/libtemporal_api.a DESTINATION ${CMAKE_INSTALL_LIBDIR}/perdure COMPONENT sdk)
install(TARGETS perdure_hazards RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT sdk)
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/perdure DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk)
install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/cmake/PerdureConfig.cmake ${CMAKE_CURRENT_SOURCE_DIR}/cmake/PerdureWorkflows.cmake
        DESTINATION ${PERDURE_PACKAGE} COMPONENT sdk)
