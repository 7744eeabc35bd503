#include "ctrl/audit/chain_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctrl/audit/audit_files.h"
#include "ctrl/audit/sha256.h"

namespace sluice::ctrl {
namespace {

constexpr size_t page_bytes = 1u << 20;
constexpr size_t findings_max = 1000;

std::string records(uint64_t from, uint64_t to) {
  return from == to ? fmt::format("record {}", from) : fmt::format("records {}..{}", from, to);
}

/// Whether `next` is the record by which a later start accounted for a torn line.
bool accounts_for(const AuditJson& next, const std::string& sha256) {
  const auto torn = next.find("torn");
  return text_member(next, "event") == "recovered" && torn != next.end() && torn->is_object() &&
         text_member(*torn, "sha256") == sha256;
}

Status feed(ChainCheck& check, const std::filesystem::path& path) {
  check.begin_file(path.string());
  for (uint64_t offset = 0;;) {
    const auto page = read_audit_page(path, offset, page_bytes);
    if (!page) return std::unexpected(page.error());
    for (size_t i = 0; i < page->lines.size(); i++) {
      check.line(page->lines[i], i + 1 < page->lines.size() || page->ends_with_newline);
    }
    offset = page->next_offset;
    if (page->at_end) return {};
  }
}

}  // namespace

void ChainCheck::begin_file(std::string name) {
  file_ = std::move(name);
  line_ = 0;
}

void ChainCheck::find(std::string what) {
  if (check_.findings.size() >= findings_max) return;
  check_.findings.push_back({file_, line_, std::move(what)});
}

void ChainCheck::line(std::string_view text, bool finished) {
  line_++;
  auto record = decode_audit_line(text);
  if (record) {
    settle_bad_line(&*record);
    return good_line(std::move(*record));
  }
  settle_bad_line(nullptr);
  // It stands for one record, or for none when it was torn: the next line tells.
  bad_ = BadLine{{file_, line_, record.error().message}, sha256_hex(text), previous_, finished};
  previous_.reset();
}

void ChainCheck::settle_bad_line(const AuditRecord* next) {
  if (!bad_) return;
  if (next != nullptr && accounts_for(next->fields, bad_->sha256)) {
    bad_->finding.what = fmt::format("torn when sluiced ended; record {} says so", next->sequence);
    check_.notes.push_back(std::move(bad_->finding));
    previous_ = std::move(bad_->previous);
  } else {
    if (check_.findings.size() < findings_max) check_.findings.push_back(bad_->finding);
    if (expected_ && (next == nullptr || next->sequence > *expected_)) ++*expected_;
  }
  bad_.reset();
}

void ChainCheck::check_start(const AuditRecord& record) {
  check_.first_sequence = record.sequence;
  if (record.sequence == 1) {
    if (record.previous != audit_genesis) find("the first record names one before it");
    return;
  }
  std::string what = fmt::format("the log begins with record {}; {} before it", record.sequence,
                                 records(1, record.sequence - 1));
  if (archived_) {
    check_.notes.push_back({file_, line_, what + " must be elsewhere"});
  } else {
    find(what + (record.sequence == 2 ? " is missing" : " are missing"));
  }
}

void ChainCheck::good_line(AuditRecord record) {
  if (!expected_) {
    // A bad first line stood for the record before this one.
    const bool bad_start = !check_.findings.empty() && check_.records == 0;
    if (!bad_start) check_start(record);
    if (bad_start) check_.first_sequence = record.sequence;
  } else if (record.sequence < *expected_) {
    return out_of_place(record);
  } else if (record.sequence > *expected_) {
    gaps_.push_back({{file_, line_, ""}, *expected_, record.sequence - 1});
  } else if (previous_ && record.previous != *previous_) {
    find(fmt::format("record {} does not follow from the one before it: it names another hash",
                     record.sequence));
  }
  check_.records++;
  expected_ = record.sequence + 1;
  previous_ = record.hash;
  check_.last_sequence = record.sequence;
  check_.last_hash = std::move(record.hash);
}

void ChainCheck::out_of_place(const AuditRecord& record) {
  const bool missed = std::ranges::any_of(gaps_, [&](const Gap& gap) {
    return gap.from <= record.sequence && record.sequence <= gap.to;
  });
  if (!missed || !skipped_.try_emplace(record.sequence, file_).second) {
    return find(fmt::format("record {} is there a second time", record.sequence));
  }
  check_.records++;
  find(fmt::format("record {} is in the wrong place: the lines were put in another order",
                   record.sequence));
}

void ChainCheck::check_end(const AuditHead& head) {
  if (bad_ && !bad_->finished && head.sequence <= check_.last_sequence) {
    bad_->finding.what =
        "unfinished: it is being written now, or sluiced ended while it was; the next start "
        "accounts for it";
    check_.notes.push_back(std::move(bad_->finding));
    bad_.reset();
  }
  // A whole line that is wrong stands for a record; half a line does not.
  const uint64_t last = check_.last_sequence + (bad_ && bad_->finished ? 1 : 0);
  settle_bad_line(nullptr);
  if (head.sequence > last) {
    line_++;
    find(fmt::format("the end is missing: {}, which the head knows, {} not there",
                     records(last + 1, head.sequence), head.sequence == last + 1 ? "is" : "are"));
  } else if (head.sequence == check_.last_sequence && head.hash != check_.last_hash &&
             head.sequence != 0) {
    find(fmt::format("record {} is not the one that the head knows: it was replaced",
                     head.sequence));
  }
}

AuditCheck ChainCheck::finish(const std::optional<AuditHead>& head) {
  if (head) check_end(*head);
  settle_bad_line(nullptr);
  for (const Gap& gap : gaps_) {
    uint64_t from = gap.from;
    const auto report = [&](uint64_t to) {
      if (from > to) return;
      AuditFinding finding = gap.place;
      finding.what = fmt::format("{} {} removed before this line", records(from, to),
                                 from == to ? "was" : "were");
      check_.findings.push_back(std::move(finding));
    };
    for (uint64_t number = gap.from; number <= gap.to && !skipped_.empty(); number++) {
      if (!skipped_.contains(number)) continue;
      if (number > from) report(number - 1);
      from = number + 1;
    }
    report(gap.to);
  }
  std::ranges::stable_sort(check_.findings, [](const AuditFinding& a, const AuditFinding& b) {
    return std::tie(a.file, a.line) < std::tie(b.file, b.line);
  });
  return std::move(check_);
}

Result<AuditCheck> check_audit_log(const std::filesystem::path& directory, bool archived) {
  // The head first: lines written after it was read are no contradiction.
  const auto head = read_audit_head(directory);
  const auto files = audit_files(directory);
  if (!files) return std::unexpected(files.error());
  ChainCheck check(archived);
  for (const AuditFile& file : *files) {
    if (auto fed = feed(check, file.path); !fed) return std::unexpected(fed.error());
  }
  if (!head && files->empty()) return AuditCheck{};  // a log that has no record yet
  if (files->empty()) check.begin_file((directory / audit_file_name(1)).string());
  AuditCheck result = check.finish(head ? std::optional(*head) : std::nullopt);
  if (!head) {
    result.findings.push_back({(directory / "head").string(), 0,
                               "the head cannot be read, so an end that is missing would not be "
                               "noticed: " +
                                   head.error().message});
  }
  return result;
}

Result<AuditCheck> check_audit_files(const std::vector<std::filesystem::path>& files) {
  ChainCheck check(true);
  for (const auto& path : files) {
    if (auto fed = feed(check, path); !fed) return std::unexpected(fed.error());
  }
  return check.finish(std::nullopt);
}

}  // namespace sluice::ctrl
