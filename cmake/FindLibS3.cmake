# Debian's libs3-dev has neither a CMake package nor a .pc file. Defines LibS3::LibS3.
find_path(LIBS3_INCLUDE_DIR libs3.h)
find_library(LIBS3_LIBRARY s3)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibS3 REQUIRED_VARS LIBS3_LIBRARY LIBS3_INCLUDE_DIR)
if(LIBS3_FOUND AND NOT TARGET LibS3::LibS3)
  add_library(LibS3::LibS3 UNKNOWN IMPORTED)
  set_target_properties(LibS3::LibS3 PROPERTIES IMPORTED_LOCATION ${LIBS3_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${LIBS3_INCLUDE_DIR})
endif()
