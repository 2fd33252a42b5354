#pragma once

#include "compose/model/project.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace compose {

/// The services that an `up` of `named` is about: with what they depend on (`dependencies`), directly or not;
/// all of them where none is named.
std::set<std::string> chosen_services(
    const project& of, const std::vector<std::string>& named, bool dependencies);

/// Fills in what is in the secrets and configs that services use: from the file or the variable that each
/// names; likewise the profiles of `security_opt: [seccomp=FILE]`. For a project that is about to be brought
/// up; to show one nothing is read. Throws error{not_found} for a file or variable that is not there,
/// error{exhausted} for more than Docker takes: where one of `services` needs it. What the others cannot have
/// now is left out.
void read_contents(
    project& of, const std::map<std::string, std::string>& variables, const std::set<std::string>& services);
/// All services need theirs.
void read_contents(project& of, const std::map<std::string, std::string>& variables);

enum class file_kinds { regular, pipes_too };

/// The bytes of a file, up to one more than the most that fit. `what`: of whom, for the message. Throws
/// error{not_found}.
std::string read_content_file(const std::string& what, const std::string& path, file_kinds taken);

} // namespace compose
