// Files that are whole or not there: written beside, fsynced, renamed, and the directory fsynced.
// Blocking; ctrl thread or tests.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace sluice::ctrl {

inline constexpr std::string_view unfinished_suffix = ".tmp";

/// Replaces `path` by `bytes`. When this returns a value, the file survives a power cut; when it
/// fails, `path` is as it was, and the error names the path and the reason of the system.
Status write_whole_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode);

/// Like write_whole_file for a file that is not there yet: on failure it is not there either.
Status create_whole_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode);

/// Fails for files of more than `bytes_max`.
Result<std::string> read_whole_file(const std::filesystem::path& path, size_t bytes_max);

}  // namespace sluice::ctrl
