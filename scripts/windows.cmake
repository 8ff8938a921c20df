# The compilers of MinGW, for what CMake builds below Cargo.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
# The library that Cargo has built is not where CMake looks for it.
set(ZSTD_LIBRARY_RELEASE "$ENV{DEP_ZSTD_ROOT}/libzstd.a" CACHE FILEPATH "")
