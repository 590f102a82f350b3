// All wrappers; include the one you need instead where that is one. See raw_call.h for what
// this folder is. (The files are called *_calls.h because src/ is an include directory: a
// sys/mount.h here would hide libc's.)
#pragma once

#include "sys/file_calls.h"
#include "sys/io_calls.h"
#include "sys/mount_calls.h"
#include "sys/process_calls.h"
#include "sys/settings_calls.h"
