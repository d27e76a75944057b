# One interface target that every target of ours links: language level, warnings, sanitizers, include roots.
# Two roots, both holding only folders, so that no header of ours can shadow a system one.
add_library(ms_options INTERFACE)
target_include_directories(ms_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/gateway)
target_compile_definitions(ms_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
                           $<$<BOOL:${MS_TESTING}>:MS_TESTING=1>)
target_compile_options(ms_options INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith
  -Wswitch-enum -Wundef -Wvla -Wwrite-strings -Wformat=2 -Wno-format-nonliteral -Wno-missing-field-initializers
  $<$<BOOL:${MS_WERROR}>:-Werror>)
if(MS_SANITIZE)
  target_compile_options(ms_options INTERFACE -fsanitize=${MS_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(ms_options INTERFACE -fsanitize=${MS_SANITIZE})
endif()
