# ms_library(<name> SOURCES ... LINK ...): a static library with our options.
function(ms_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ms_options ${ARG_LINK})
endfunction()

# What both kinds of test share. A test labelled "serial" (mounts, kills, measures) runs alone.
function(ms_test_properties name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  if("serial" IN_LIST ARG_LABELS)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# ms_test(<name> SOURCES ... LINK ... [ARGS ...] [LABELS ...] [TIMEOUT s]): a cmocka program that
# ctest runs. Labels: unit, contract, model, scenario, cli, fuse, tidy say what kind it is; store,
# content, service ... name the module; long and serial say how it is to be run.
function(ms_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS;ARGS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ms_test_support ${ARG_LINK} PkgConfig::CMOCKA)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  ms_test_properties(${name} TIMEOUT "${ARG_TIMEOUT}" LABELS ${ARG_LABELS})
endfunction()

# ms_script_test(<name> <script> [ARGS ...] [LABELS ...] [TIMEOUT s]): a shell script; 77 = skipped.
# It gets MSASSET, the built program, and MS_SOURCE_DIR, MS_BINARY_DIR in its environment.
# ms_python_test: the same for a Python script.
function(ms_interpreted_test interpreter name script)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;ARGS" ${ARGN})
  add_test(NAME ${name} COMMAND ${interpreter} ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${ARG_ARGS})
  set(environment MS_SOURCE_DIR=${CMAKE_SOURCE_DIR} MS_BINARY_DIR=${CMAKE_BINARY_DIR})
  if(TARGET msasset)
    list(APPEND environment MSASSET=$<TARGET_FILE:msasset>)
  endif()
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 ENVIRONMENT "${environment}")
  ms_test_properties(${name} TIMEOUT "${ARG_TIMEOUT}" LABELS ${ARG_LABELS})
endfunction()
function(ms_script_test)
  ms_interpreted_test(bash ${ARGN})
endfunction()
function(ms_python_test)
  ms_interpreted_test(python3 ${ARGN})
endfunction()

# A test that needs the fixture "ceph" (tests/support/CMakeLists.txt): a target, or a script beside the list, run by
# tests/support/ceph.sh with the place of the store in its environment; 77 = skipped, where there is no Ceph.
set(MS_CEPH_FILE ${CMAKE_BINARY_DIR}/ceph/running)
function(ms_ceph_test name command)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;ARGS" ${ARGN})
  if(TARGET ${command})
    set(command $<TARGET_FILE:${command}>)
  elseif(command MATCHES "[.]py$")
    set(command python3 ${CMAKE_CURRENT_SOURCE_DIR}/${command})
  else()
    set(command bash ${CMAKE_CURRENT_SOURCE_DIR}/${command})
  endif()
  add_test(NAME ${name} COMMAND bash ${CMAKE_SOURCE_DIR}/tests/support/ceph.sh run ${MS_CEPH_FILE} ${command}
                                ${ARG_ARGS})
  set(environment MS_SOURCE_DIR=${CMAKE_SOURCE_DIR} MS_BINARY_DIR=${CMAKE_BINARY_DIR})
  if(TARGET msasset)
    list(APPEND environment MSASSET=$<TARGET_FILE:msasset>)
  endif()
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 FIXTURES_REQUIRED ceph ENVIRONMENT "${environment}")
  ms_test_properties(${name} TIMEOUT "${ARG_TIMEOUT}" LABELS ceph long ${ARG_LABELS})
endfunction()
