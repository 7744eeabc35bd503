#include "ctrl/audit/audit_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

namespace sluice::ctrl {
namespace {

constexpr size_t block_bytes = 64 * 1024;

std::optional<uint64_t> first_sequence_of(const std::string& name) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || number == 0 || name != audit_file_name(number)) return std::nullopt;
  return number;
}

std::unexpected<Error> cannot_read(const std::filesystem::path& path) {
  return fail(fmt::format("cannot read {}", path.string()));
}

}  // namespace

std::string audit_file_name(uint64_t first_sequence) {
  return fmt::format("{:016}.jsonl", first_sequence);
}

Result<std::vector<AuditFile>> audit_files(const std::filesystem::path& directory) {
  std::vector<AuditFile> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (const auto first = first_sequence_of(entry.path().filename())) {
      files.push_back({entry.path(), *first});
    }
  }
  if (error) {
    return fail(fmt::format("cannot read {}: {}", directory.string(), error.message()));
  }
  std::ranges::sort(files, {}, &AuditFile::first_sequence);
  return files;
}

Result<AuditHead> read_audit_head(const std::filesystem::path& directory) {
  const auto path = directory / "head";
  std::ifstream file(path, std::ios::binary);
  char text[256] = {};
  if (!file.read(text, sizeof(text)) && !file.eof()) return cannot_read(path);
  if (file.gcount() == 0) return fail(fmt::format("{} is missing or empty", path.string()));
  auto head = decode_audit_head({text, static_cast<size_t>(file.gcount())});
  if (!head) return fail(fmt::format("{} is corrupt: {}", path.string(), head.error().message));
  return head;
}

Result<AuditPage> read_audit_page(const std::filesystem::path& path, uint64_t offset,
                                  size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  if (!file || !file.seekg(static_cast<std::streamoff>(offset))) return cannot_read(path);
  AuditPage page;
  page.next_offset = offset;
  for (std::string line; page.next_offset - offset < bytes_max && std::getline(file, line);) {
    // At the end of the file without a newline getline() sets eof, and the line is unfinished.
    page.ends_with_newline = !file.eof();
    page.next_offset += line.size() + (page.ends_with_newline ? 1 : 0);
    page.lines.push_back(std::move(line));
  }
  if (file.bad()) return cannot_read(path);
  page.at_end = file.eof() || file.peek() == std::ifstream::traits_type::eof();
  return page;
}

Status visit_lines_backwards(const std::filesystem::path& path,
                             const std::function<bool(std::string_view line)>& visit) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return cannot_read(path);
  auto left = static_cast<uint64_t>(file.tellg());
  std::string pending;  // from the newline before it (not read yet) to its own end
  bool at_tail = true;
  while (left > 0) {
    const size_t bytes = std::min<uint64_t>(left, block_bytes);
    left -= bytes;
    std::string block(bytes, '\0');
    file.seekg(static_cast<std::streamoff>(left));
    if (!file.read(block.data(), static_cast<std::streamsize>(bytes))) return cannot_read(path);
    pending.insert(0, block);
    if (std::exchange(at_tail, false) && pending.ends_with('\n')) pending.pop_back();
    for (size_t newline; (newline = pending.rfind('\n')) != std::string::npos;) {
      if (!visit(std::string_view(pending).substr(newline + 1))) return {};
      pending.resize(newline);
    }
  }
  if (!at_tail) visit(pending);
  return {};
}

}  // namespace sluice::ctrl
