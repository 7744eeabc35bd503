#include "ctrl/audit/audit_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ctrl/audit/audit_files.h"
#include "ctrl/audit/sha256.h"

namespace sluice::ctrl {
namespace {

constexpr mode_t file_mode = 0640;

std::unexpected<Error> system_failure(const char* what, const std::filesystem::path& path,
                                      int error) {
  return fail(fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(error)));
}

Status write_at(int fd, std::string_view bytes, uint64_t offset,
                const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return system_failure("write", path, written < 0 ? errno : ENOSPC);
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

Status sync_directory(const std::filesystem::path& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return system_failure("sync", directory, errno);
  return {};
}

}  // namespace

Result<AuditLog> AuditLog::open(const std::filesystem::path& directory, AuditOptions options) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(fmt::format("cannot create {}: {}", directory.string(), error.message()));
  AuditLog log(directory, options);
  if (auto looked = log.look_at_end(); !looked) return std::unexpected(looked.error());
  return log;
}

/// Where the chain goes on, and what open() has to say about the end that it found.
Status AuditLog::look_at_end() {
  auto files = audit_files(directory_);
  if (!files) return std::unexpected(files.error());
  const auto head = read_audit_head(directory_);
  if (head) head_ = *head;
  AuditJson found = AuditJson::object();
  if (!head && !files->empty()) found["head"] = head.error().message;
  std::optional<AuditRecord> last;
  std::string torn;
  for (auto file = files->rbegin(); file != files->rend() && !last; ++file) {
    const bool newest = file == files->rbegin();
    if (newest) {
      if (auto opened = open_file(file->first_sequence); !opened) return opened;
    }
    bool at_end = newest;
    auto visited = visit_lines_backwards(file->path, [&](std::string_view line) {
      if (std::exchange(at_end, false) && torn_) {
        torn = line;
        return true;
      }
      if (line.empty()) return true;
      auto record = decode_audit_line(line);
      if (record) last = std::move(*record);
      return !last.has_value();
    });
    if (!visited) return visited;
  }
  if (!torn.empty()) found["torn"] = {{"bytes", torn.size()}, {"sha256", sha256_hex(torn)}};
  if (last) last_found_ = last->fields;
  const uint64_t last_sequence = last ? last->sequence : 0;
  if (head_.sequence > last_sequence) {
    found["missing"] = {{"from", last_sequence + 1}, {"to", head_.sequence}};
  } else if (last && last_sequence > head_.sequence) {
    head_ = {last_sequence, last->hash};  // written, but the head was not yet
  }
  if (!found.empty()) {
    recovered_ = std::move(found);
    recovered_["event"] = "recovered";
  }
  return {};
}

Status AuditLog::open_file(uint64_t first_sequence) {
  path_ = directory_ / audit_file_name(first_sequence);
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd file(::open(path_.c_str(), flags, file_mode));
  if (!file) return system_failure("open", path_, errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return system_failure("look at", path_, errno);
  bytes_ = static_cast<uint64_t>(status.st_size);
  char end = '\n';
  if (bytes_ > 0 && ::pread(file.get(), &end, 1, static_cast<off_t>(bytes_ - 1)) != 1) {
    return system_failure("read", path_, errno);
  }
  torn_ = end != '\n';
  file_ = std::move(file);
  return {};
}

Status AuditLog::rotate_when_full() {
  if (file_ && bytes_ < options_.file_bytes_max) return {};
  const std::filesystem::path before = path_;
  if (auto opened = open_file(head_.sequence + 1); !opened) {
    path_ = before;
    return opened;
  }
  return sync_directory(directory_);
}

Status AuditLog::take_back() {
  if (::ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0) {
    return system_failure("shorten", path_, errno);
  }
  unsure_ = false;
  return {};
}

Status AuditLog::write_record(const AuditLine& line) {
  const std::string bytes = (torn_ ? "\n" : "") + line.text + "\n";
  unsure_ = true;
  if (auto written = write_at(file_.get(), bytes, bytes_, path_); !written) return written;
  if (::fdatasync(file_.get()) != 0) return system_failure("sync", path_, errno);
  return {};
}

/// In place: a full disk cannot keep the head from being written, and a sector is written whole.
Status AuditLog::write_head(const AuditHead& head) {
  const auto path = directory_ / "head";
  if (!head_file_) {
    head_file_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, file_mode));
    if (!head_file_) return system_failure("open", path, errno);
    if (auto synced = sync_directory(directory_); !synced) return synced;
  }
  if (auto written = write_at(head_file_.get(), encode_audit_head(head), 0, path); !written) {
    return written;
  }
  if (::fdatasync(head_file_.get()) != 0) return system_failure("sync", path, errno);
  return {};
}

Result<uint64_t> AuditLog::append(AuditJson fields) {
  if (unsure_) {
    if (auto taken = take_back(); !taken) return std::unexpected(taken.error());
  }
  if (auto rotated = rotate_when_full(); !rotated) return std::unexpected(rotated.error());
  const uint64_t sequence = head_.sequence + 1;
  const AuditLine line = encode_audit_line(std::move(fields), sequence, head_.hash);
  if (line.text.size() > audit_line_bytes_max) {
    return fail(fmt::format("an audit record has at most {} bytes", audit_line_bytes_max));
  }
  const AuditHead next{sequence, line.hash};
  auto written = write_record(line);
  if (written) written = write_head(next);
  if (!written) {
    // Nobody was told of this record: it must not be there when the caller is refused.
    [[maybe_unused]] const auto tried = take_back();
    return std::unexpected(written.error());
  }
  unsure_ = false;
  bytes_ += line.text.size() + 1 + (std::exchange(torn_, false) ? 1 : 0);
  head_ = next;
  return sequence;
}

}  // namespace sluice::ctrl
