#include "ctrl/cli/audit_source.h"

#include "ctrl/audit/audit_files.h"

namespace sluice::cli {
namespace {

constexpr size_t page_bytes = 1u << 20;
constexpr std::chrono::seconds patience{30};

class DirectorySource : public AuditSource {
 public:
  explicit DirectorySource(std::filesystem::path directory) : directory_(std::move(directory)) {}

  Result<ctrl::AuditCheck> check(bool archived) override {
    return ctrl::check_audit_log(directory_, archived);
  }
  Result<ctrl::AuditAnswer> query(const ctrl::AuditQuery& query) override {
    return ctrl::query_audit_log(directory_, query);
  }
  Status lines(const std::function<void(const std::string&)>& visit) override {
    const auto files = ctrl::audit_files(directory_);
    if (!files) return std::unexpected(files.error());
    for (const auto& file : *files) {
      for (uint64_t offset = 0;;) {
        const auto page = ctrl::read_audit_page(file.path, offset, page_bytes);
        if (!page) return std::unexpected(page.error());
        for (const std::string& line : page->lines) visit(line);
        offset = page->next_offset;
        if (page->at_end) break;
      }
    }
    return {};
  }

 private:
  std::filesystem::path directory_;
};

class SluicedSource : public AuditSource {
 public:
  explicit SluicedSource(Client client) : client_(std::move(client)) {}

  Result<ctrl::AuditCheck> check(bool archived) override {
    ctrl::ChainCheck check(archived);
    std::string file;
    std::optional<ctrl::AuditHead> head;
    bool first = true;
    auto walked = walk([&](const json& page) {
      if (std::exchange(first, false)) {
        const auto decoded = ctrl::decode_audit_head(ctrl::text_member(page, "head"));
        if (decoded) head = *decoded;
      }
      const std::string of = ctrl::text_member(page, "file");
      if (of != file) check.begin_file(file = of);
      const json& lines = page.at("lines");
      for (size_t i = 0; i < lines.size(); i++) {
        check.line(lines[i].get<std::string>(),
                   i + 1 < lines.size() || page.value("finished", true));
      }
    });
    if (!walked) return std::unexpected(walked.error());
    auto result = check.finish(head);
    if (!head && result.records > 0) {
      result.findings.push_back({"head", 0, "the head cannot be read"});
    }
    return result;
  }

  Result<ctrl::AuditAnswer> query(const ctrl::AuditQuery& query) override {
    const auto page = call("audit.show", {{"limit", query.limit},
                                          {"before", query.before},
                                          {"route", query.route},
                                          {"author", query.author},
                                          {"event", query.event},
                                          {"since", query.since}});
    if (!page) return std::unexpected(page.error());
    return ctrl::AuditAnswer{page->at("records").get<std::vector<json>>(),
                             page->value("next", 0ull)};
  }

  Status lines(const std::function<void(const std::string&)>& visit) override {
    return walk([&](const json& page) {
      for (const json& line : page.at("lines")) visit(line.get<std::string>());
    });
  }

 private:
  Result<json> call(const std::string& method, json params) {
    auto answer = client_.call(method, std::move(params), patience);
    if (!answer) return fail(answer.error().message);
    return std::move(*answer);
  }
  Status walk(const std::function<void(const json& page)>& visit) {
    for (json next = json::object(); next.is_object();) {
      auto page = call("audit.read", next);
      if (!page) return std::unexpected(page.error());
      visit(*page);
      next = page->value("next", json());
    }
    return {};
  }

  Client client_;
};

}  // namespace

std::unique_ptr<AuditSource> audit_of_directory(const std::filesystem::path& state_dir) {
  return std::make_unique<DirectorySource>(state_dir / "audit");
}

Result<std::unique_ptr<AuditSource>> audit_of_sluiced(const std::string& socket) {
  auto client = Client::connect(socket);
  if (!client) {
    return fail(client.error().message + "; --state-dir DIR reads its files without it");
  }
  return std::make_unique<SluicedSource>(std::move(*client));
}

}  // namespace sluice::cli
