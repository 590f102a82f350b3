// Readiness of a service that is a container (sd_notify(3)). Its processes are given a socket of its own, and what
// comes there is handed on in isle-oci's name: a service manager hears the main process of a unit, which isle-oci is,
// and by default nobody else. And what a container says about other processes, or hands over, goes no further.
#pragma once

#include <sys/types.h>

#include <string>

#include "isle/error.h"
#include "isle/fd.h"
#include "isle/spec.h"
#include "oci/state.h"

namespace isle::oci_cli {

/// Where $NOTIFY_SOCKET is a path and the process has no such variable: a directory of `directory` is bound there
/// (on /run/notify where the root has anything else there), read-only, and the variable names the socket that will be
/// in it.
Status offer_notify_socket(const oci::Directory& directory, Spec& spec);

class Notifications {
 public:
  /// Listens where offer_notify_socket() has made the directory. Elsewhere, and where nobody is to be told, nothing
  /// ever comes.
  static Result<Notifications> listen(const oci::Directory& directory);

  /// Readable where something came; none where nothing ever comes.
  [[nodiscard]] BorrowedFd descriptor() const { return socket_.borrow(); }
  /// Hands on what came.
  void hand_on();
  /// Returns once the container has said that it is ready, its first process being the unit's main one from now
  /// on, or once that one has ended.
  void stay_until_ready(BorrowedFd process, pid_t host_pid);

 private:
  void send(const std::string& text) const;
  void await_manager() const;

  Fd socket_;
  std::string manager_;  ///< The service manager's socket.
  bool ready_ = false;
};

}  // namespace isle::oci_cli
