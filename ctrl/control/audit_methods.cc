// audit.show, audit.read: the audit log over the control socket, a bounded part at a time.
#include <fmt/format.h>

#include <algorithm>

#include "ctrl/audit/audit_files.h"
#include "ctrl/audit/query.h"
#include "ctrl/control/call.h"

namespace sluice::ctrl {
namespace {

constexpr uint64_t records_max = 1000;
constexpr size_t shown_bytes_max = 2u << 20;  // looked at for one answer: some 20 ms
constexpr size_t page_bytes = 512 * 1024;

void show(Call call) {
  Params params(call.request.params);
  AuditQuery query;
  query.limit = params.number_or("limit", 20, records_max);
  query.before = params.number_or("before", 0, ~0ull);
  query.route = params.text_or("route", "");
  query.author = params.text_or("author", "");
  query.event = params.text_or("event", "");
  query.since = params.text_or("since", "");
  query.bytes_max = shown_bytes_max;
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  const auto answer = query_audit_log(call.controller().audit().log().directory(), query);
  if (!answer) return call.respond(refused(answer.error().message));
  call.respond(Json{{"records", answer->records}, {"next", answer->next}});
}

/// One page of raw lines, and where the next one begins: what `audit verify` and `export` read.
void read(Call call) {
  Params params(call.request.params);
  const uint64_t wanted = params.number_or("file", 0, ~0ull);
  const uint64_t offset = params.number_or("offset", 0, ~0ull >> 1);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  const auto& directory = call.controller().audit().log().directory();
  const auto files = audit_files(directory);
  if (!files) return call.respond(refused(files.error().message));
  const auto head = read_audit_head(directory);
  Json answer = {{"head", head ? Json(encode_audit_head(*head)) : Json(nullptr)},
                 {"file", nullptr},
                 {"lines", Json::array()},
                 {"next", nullptr}};
  auto file = files->begin();
  if (wanted != 0) file = std::ranges::find(*files, wanted, &AuditFile::first_sequence);
  if (file == files->end()) {
    if (wanted == 0) return call.respond(std::move(answer));
    return call.respond(refused(fmt::format("the audit log has no file {}", wanted)));
  }
  const auto page = read_audit_page(file->path, offset, page_bytes);
  if (!page) return call.respond(refused(page.error().message));
  answer["file"] = file->path.string();
  for (const std::string& line : page->lines) answer["lines"].push_back(line);
  answer["finished"] = page->ends_with_newline;
  if (!page->at_end) {
    answer["next"] = {{"file", file->first_sequence}, {"offset", page->next_offset}};
  } else if (++file != files->end()) {
    answer["next"] = {{"file", file->first_sequence}, {"offset", 0}};
  }
  call.respond(std::move(answer));
}

}  // namespace

const std::unordered_map<std::string, Method>& audit_methods() {
  static const std::unordered_map<std::string, Method> table = {{"audit.show", show},
                                                                {"audit.read", read}};
  return table;
}

}  // namespace sluice::ctrl
