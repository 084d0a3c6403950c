# Run while the SDK is installed: one object out of archives, in which only the names of the face stay visible.
#
#   cmake -DCOMPILER=g++ -DNM=nm -DOBJCOPY=objcopy -DLTO=0 "-DARCHIVES=a.a;b.a" -DNAMES=visible_names.txt -DOUTPUT=c.o \
#         -P merge.cmake
#
# Inline functions and templates are in groups of which a linker keeps one copy of many. They leave their groups here: a local
# name in a group that was dropped in favour of somebody else's would be a name of nothing.
set(link ${COMPILER} -r -nostdlib -Wl,--force-group-allocation)
if(LTO)
  list(APPEND link -O2 -flto -flinker-output=nolto-rel)
endif()
execute_process(COMMAND ${link} -o ${OUTPUT}.all -Wl,--whole-archive ${ARCHIVES} -Wl,--no-whole-archive COMMAND_ERROR_IS_FATAL ANY)

# Names that are unique in a process (g++'s statics of templates) can be made local only when they are weak.
execute_process(COMMAND ${NM} --defined-only ${OUTPUT}.all OUTPUT_VARIABLE names COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " u [^\n]+" unique "${names}")
list(TRANSFORM unique REPLACE "^ u " "")
list(JOIN unique "\n" unique)
file(WRITE ${OUTPUT}.unique "${unique}\n")
execute_process(COMMAND ${OBJCOPY} --weaken-symbols=${OUTPUT}.unique ${OUTPUT}.all COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${OBJCOPY} --wildcard --keep-global-symbols=${NAMES} --strip-debug ${OUTPUT}.all ${OUTPUT}
                COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${OUTPUT}.all ${OUTPUT}.unique)
