// Tells the service manager that sluiced is ready (sd_notify(3), without libsystemd).
#pragma once

#include <string_view>

namespace sluice::ctrl {

/// Sends `state` ("READY=1", "STOPPING=1") to $NOTIFY_SOCKET. False when it is not set or nobody
/// listens; neither is an error.
bool notify_service_manager(std::string_view state);

}  // namespace sluice::ctrl
