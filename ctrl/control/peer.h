// Unix sockets: who is at the other end, and a listening socket that replaces a dead one.
#pragma once

#include <sys/types.h>

#include <string>

#include "ctrl/control/generation.h"
#include "ctrl/control/unique_fd.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

/// The peer of a connected unix socket by SO_PEERCRED and SO_PEERGROUPS: the credentials that it
/// had when it connected.
Author peer_author(int fd);

/// The login name of `uid`, or the number when it has none.
std::string user_name(uid_t uid);

/// Binds and listens with mode 0660, creating the directory. A socket file that nobody listens on
/// is replaced; fails when somebody does, or when something else lies at `path`.
Result<UniqueFd> listen_unix(const std::string& path);

}  // namespace sluice::ctrl
