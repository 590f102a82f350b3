// The kernel's constants and structures, all of them. See raw_call.h for what this folder is.
#pragma once

#include "sys/abi_file.h"
#include "sys/abi_mount.h"
#include "sys/abi_netlink.h"
#include "sys/abi_numbers.h"
#include "sys/abi_process.h"
