# perdure_add_workflows(target files…): adds files with workflow code to a target, after the hazard lint has read them.
#
# A finding is an error: what g++ before 13 miscompiles, and what no replay would repeat. A line that is fine says so:
# `// hazard: fine`.
function(perdure_add_workflows target)
  foreach(file ${ARGN})
    get_filename_component(path ${file} ABSOLUTE)
    string(MD5 key ${path})
    set(stamp ${CMAKE_CURRENT_BINARY_DIR}/perdure_hazards/${key}.stamp)
    add_custom_command(
      OUTPUT ${stamp}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/perdure_hazards
      COMMAND Perdure::hazards ${path}
      COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
      DEPENDS ${path} Perdure::hazards
      COMMENT "Looking for hazards in ${file}"
      VERBATIM)
    target_sources(${target} PRIVATE ${file} ${stamp})
  endforeach()
endfunction()
