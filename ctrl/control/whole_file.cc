#include "ctrl/control/whole_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ctrl/control/unique_fd.h"

namespace sluice::ctrl {
namespace {

std::unexpected<Error> system_failure(const char* what, const std::filesystem::path& path,
                                      int error) {
  return fail(fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(error)));
}

Status write_all(int fd, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_failure("write", path, errno);
    if (written == 0) return system_failure("write", path, ENOSPC);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status sync_directory(const std::filesystem::path& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_failure("open", directory, errno);
  if (::fsync(fd.get()) != 0) return system_failure("sync", directory, errno);
  return {};
}

Status write_unfinished(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return system_failure("create", path, errno);
  if (auto written = write_all(fd.get(), bytes, path); !written) return written;
  if (::fsync(fd.get()) != 0) return system_failure("sync", path, errno);
  return {};
}

}  // namespace

Status write_whole_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  std::filesystem::path unfinished = path;
  unfinished += unfinished_suffix;
  if (auto written = write_unfinished(unfinished, bytes, mode); !written) {
    ::unlink(unfinished.c_str());
    return written;
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(unfinished.c_str());
    return system_failure("rename into", path, error);
  }
  return sync_directory(path.parent_path());
}

Status create_whole_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  auto written = write_whole_file(path, bytes, mode);
  // The rename may have happened before the directory failed to sync: take it back, or a restart
  // would find what the caller was told does not exist.
  if (!written) ::unlink(path.c_str());
  return written;
}

Result<std::string> read_whole_file(const std::filesystem::path& path, size_t bytes_max) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_failure("open", path, errno);
  std::string bytes;
  char chunk[1 << 16];
  for (;;) {
    const ssize_t got = ::read(fd.get(), chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure("read", path, errno);
    if (got == 0) return bytes;
    bytes.append(chunk, static_cast<size_t>(got));
    if (bytes.size() > bytes_max) {
      return fail(fmt::format("{} is longer than {} bytes", path.string(), bytes_max));
    }
  }
}

}  // namespace sluice::ctrl
