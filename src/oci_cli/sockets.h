// Local sockets (unix(7)) by their paths.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "isle/error.h"
#include "isle/fd.h"

namespace isle::oci_cli {

/// A new socket of `type` (SOCK_DGRAM ...) that is called `path`. Errors: there is something of that name.
Result<Fd> bind_socket(const std::string& path, int type);

/// A new one that speaks to the one called `path`.
Result<Fd> connect_socket(const std::string& path, int type);

/// sendmsg(2): `text`, and `descriptor` with it where there is one.
ssize_t send_message(BorrowedFd socket, std::string_view text, BorrowedFd descriptor = {});

}  // namespace isle::oci_cli
