// completion: a shell script made from the commands themselves, so that it cannot fall behind.
#include <fmt/format.h>

#include <cstdio>

#include "ctrl/cli/command.h"

namespace sluice::cli {
namespace {

std::string option_words(const CLI::App& command) {
  std::string words;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) words += " --" + name;
  }
  return words.empty() ? words : words.substr(1);
}

std::string command_words(const CLI::App& app) {
  std::string words;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    words += (words.empty() ? "" : " ") + command->get_name();
  }
  return words;
}

/// A command's own commands, and all options.
std::string all_words(const CLI::App& command) {
  std::string words = option_words(command);
  for (const auto* nested : command.get_subcommands([](const CLI::App*) { return true; })) {
    words += " " + nested->get_name() + " " + option_words(*nested);
  }
  return words;
}

/// Values that only the running sluiced knows come from `sluice get`.
constexpr const char* bash_head =
    R"sh(# bash completion of sluice; load with: source <(sluice completion bash)
_sluice_names() { sluice --json get "$1" 2>/dev/null | sed -n 's/^ *"name": "\(.*\)",\{0,1\}$/\1/p'; }
_sluice() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" command="" i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "${COMP_WORDS[i]}" in
      --socket) ((++i)) ;;
      -*) ;;
      *) command="${COMP_WORDS[i]}"; break ;;
    esac
  done
  case "$previous" in
    --socket) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --to|--pool|drain) COMPREPLY=($(compgen -W "$(_sluice_names pool)" -- "$current")); return ;;
    --route|switch|weight|verify) COMPREPLY=($(compgen -W "$(_sluice_names route)" -- "$current")); return ;;
    --author) COMPREPLY=($(compgen -u -- "$current")); return ;;
    approve|reject) COMPREPLY=($(compgen -W "$(sluice --json pending 2>/dev/null | sed -n 's/^ *"id": "\(.*\)",\{0,1\}$/\1/p')" -- "$current")); return ;;
    --take-over|freeze) COMPREPLY=($(compgen -W "$(_sluice_names route)" -- "$current")); return ;;
    can-i) COMPREPLY=($(compgen -W "apply weight switch rollback drain confirm approve reject freeze unfreeze break-glass" -- "$current")); return ;;
    --state-dir) COMPREPLY=($(compgen -d -- "$current")); return ;;
    --existing) COMPREPLY=($(compgen -W "keep reset drain:30s" -- "$current")); return ;;
    --confirm-within) COMPREPLY=($(compgen -W "1m 5m 10m 1h" -- "$current")); return ;;
    apply|check|diff) COMPREPLY=($(compgen -f -- "$current")); return ;;
    get) COMPREPLY=($(compgen -W "node port pool backend listener route config" -- "$current")); return ;;
    explain) COMPREPLY=($(compgen -W "tcp udp" -- "$current")); return ;;
    completion) COMPREPLY=($(compgen -W "bash zsh" -- "$current")); return ;;
  esac
  case "$command" in
)sh";

std::string bash_script(const CLI::App& app) {
  std::string out = bash_head;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    out += fmt::format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$current\")) ;;\n",
                       command->get_name(), all_words(*command));
  }
  out += fmt::format("    *) COMPREPLY=($(compgen -W \"{} {}\" -- \"$current\")) ;;\n",
                     command_words(app), option_words(app));
  out += "  esac\n}\ncomplete -F _sluice sluice\n";
  return out;
}

}  // namespace

void add_completion_command(CLI::App& app, Action& action) {
  auto shell = std::make_shared<std::string>();
  auto* command = app.add_subcommand("completion", "Print a completion script for your shell");
  command->add_option("shell", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  command->footer("Load it with: source <(sluice completion bash)");
  command->callback([&app, &action, shell] {
    action = [&app, shell] {
      // zsh runs bash completions through its own compatibility layer.
      if (*shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
      fmt::print("{}", bash_script(app));
      return int{exit_done};
    };
  });
}

}  // namespace sluice::cli
