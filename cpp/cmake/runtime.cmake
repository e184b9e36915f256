# The target `plate_runtime`: headers and library of Paddle Lite.
add_library(plate_runtime INTERFACE)

# Finds the library in a folder, an unpacked archive, or the folder that edge/runtime/wheel.py makes.
function(plate_find_library OUT FOLDER)
  foreach(NAME libpaddle_light_api_shared.so liblite_pybind.so)
    foreach(PLACE ${FOLDER} ${FOLDER}/lib ${FOLDER}/cxx/lib)
      if(EXISTS ${PLACE}/${NAME})
        set(${OUT} ${PLACE}/${NAME} PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
  message(FATAL_ERROR "no libpaddle_light_api_shared.so or liblite_pybind.so in ${FOLDER}")
endfunction()

if(PADDLE_LITE_DIR)
  plate_find_library(PLATE_LIBRARY ${PADDLE_LITE_DIR})
  set(PLATE_INCLUDE ${PADDLE_LITE_DIR}/cxx/include)
elseif(PLATE_RUNTIME_DIR)
  plate_find_library(PLATE_LIBRARY ${PLATE_RUNTIME_DIR})
endif()

if(PLATE_INCLUDE)
  target_include_directories(plate_runtime SYSTEM INTERFACE ${PLATE_INCLUDE})
  target_compile_definitions(plate_runtime INTERFACE PLATE_OFFICIAL_HEADERS)
endif()

if(PLATE_LIBRARY)
  get_filename_component(PLATE_LIBRARY_DIR ${PLATE_LIBRARY} DIRECTORY)
  # What the library itself needs lies beside it on the target; it is not looked for at link time.
  target_link_options(plate_runtime INTERFACE -Wl,--allow-shlib-undefined)
  target_link_libraries(plate_runtime INTERFACE ${PLATE_LIBRARY})
  if(EXISTS ${PLATE_LIBRARY_DIR}/libplate_python_stub.so)
    # The wheel's library refers to a Python interpreter that it never calls here; the stub stands for it, and must be
    # loaded although nothing of the program's own refers to it.
    target_link_libraries(plate_runtime INTERFACE
      -Wl,--no-as-needed ${PLATE_LIBRARY_DIR}/libplate_python_stub.so -Wl,--as-needed)
  endif()
else()
  add_library(paddle_light_api_shared SHARED import_stub/paddle_light_api.cc)
  target_include_directories(paddle_light_api_shared PRIVATE include)
  set_target_properties(paddle_light_api_shared PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/import_stub)
  target_link_libraries(plate_runtime INTERFACE paddle_light_api_shared)
endif()
