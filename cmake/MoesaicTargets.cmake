# moesaic_library / moesaic_binary / moesaic_test: one place for warnings, floating-point rules
# and sanitizers, so that a folder's CMakeLists.txt lists only its files and what it may include.

add_library(moesaic_flags INTERFACE)
target_include_directories(moesaic_flags INTERFACE "${CMAKE_SOURCE_DIR}")
# -ffp-contract=off: a fused multiply-add must be asked for by name, or the same source gives
# other bits on another target (docs/decisions/0002-numerics.md).
target_compile_options(moesaic_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -ffp-contract=off -fno-omit-frame-pointer>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${MOESAIC_WERROR}>>:-Werror>)
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC takes a .cc file that is included for a header, where a type in the unnamed namespace is a fault.
  target_compile_options(moesaic_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(moesaic_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wthread-safety -Werror=thread-safety>)
endif()
if(MOESAIC_SANITIZER STREQUAL "address")
  set(MOESAIC_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined)
elseif(MOESAIC_SANITIZER STREQUAL "thread")
  set(MOESAIC_SANITIZE_FLAGS -fsanitize=thread)
elseif(MOESAIC_SANITIZER)
  message(FATAL_ERROR "MOESAIC_SANITIZER: '${MOESAIC_SANITIZER}' is neither address nor thread")
endif()
if(MOESAIC_LIBFUZZER)
  # Coverage counters in our own libraries too; what is linked with libFuzzer's main adds -fsanitize=fuzzer.
  list(APPEND MOESAIC_SANITIZE_FLAGS -fsanitize=fuzzer-no-link)
endif()
if(MOESAIC_SANITIZE_FLAGS)
  target_compile_options(moesaic_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:${MOESAIC_SANITIZE_FLAGS}>)
  # A test's own code does without the two dearest checks: they are a third of its time to compile.
  target_compile_options(moesaic_flags INTERFACE
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:$<TARGET_PROPERTY:MOESAIC_TEST>>>:-fno-sanitize=null,alignment>)
  target_link_options(moesaic_flags INTERFACE ${MOESAIC_SANITIZE_FLAGS})
endif()

# moesaic_library(name SOURCES a.cc … [DEPS …])
function(moesaic_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC moesaic_flags ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE moesaic_flags ${ARG_DEPS})
  endif()
endfunction()

# moesaic_binary(name SOURCES … [DEPS …]): an executable in build/<preset>/bin.
function(moesaic_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} moesaic_flags)
  if(JEMALLOC_FOUND AND NOT MOESAIC_SANITIZER)
    target_link_libraries(${name} PRIVATE PkgConfig::JEMALLOC)
  endif()
endfunction()

# moesaic_test(name SOURCES … [DEPS …] [LABELS unit|integration|threads|parser|gpu|large …]):
# a GoogleTest executable whose cases become CTest tests. The label defaults to unit.
function(moesaic_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main moesaic_flags)
  set_target_properties(${name} PROPERTIES MOESAIC_TEST ON
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  foreach(label IN LISTS ARG_LABELS)
    if(NOT TARGET tests-${label})
      add_custom_target(tests-${label})  # builds every test that has the label
    endif()
    add_dependencies(tests-${label} ${name})
  endforeach()
  # A list does not survive gtest_discover_tests, and ctest -L matches a part of a label.
  list(JOIN ARG_LABELS "," labels)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120 TEST_PREFIX "${name}."
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
    PROPERTIES LABELS "${labels}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# moesaic_fuzz(entry [SOURCES …] [DEPS …]): the fuzz entry tests/fuzz/<entry>_fuzz.cc. With libFuzzer
# (preset fuzz) an executable in build/fuzz/fuzz; else a test that replays corpus/<entry>.pack.
function(moesaic_fuzz entry)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  set(name fuzz_${entry})
  add_executable(${name} ${entry}_fuzz.cc ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} moesaic_base moesaic_flags)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  if(MOESAIC_LIBFUZZER)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET fuzz-entries)
      add_custom_target(fuzz-entries)  # builds them all
    endif()
    add_dependencies(fuzz-entries ${name})
    return()
  endif()
  target_sources(${name} PRIVATE replay_main.cc)
  if(NOT TARGET tests-parser)
    add_custom_target(tests-parser)
  endif()
  add_dependencies(tests-parser ${name})
  add_test(NAME fuzz_replay.${entry}
    COMMAND ${name} "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${entry}.pack")
  set_tests_properties(fuzz_replay.${entry} PROPERTIES LABELS parser TIMEOUT 120
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
endfunction()

include(GoogleTest)
