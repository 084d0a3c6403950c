// Where a client's options come from: a profile of temporal.toml, and over it the TEMPORAL_* environment.
//
// Names, places and precedence are those of Temporal's other SDKs. A TLS file that is named must be there; a
// configuration file need not be.
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <perdure/client.h>

extern "C" char** environ;

namespace perdure {
inline namespace v1 {

namespace {

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}
std::optional<std::string> filled_variable(const std::string& name) {
  auto value = variable(name);
  if (value && value->empty()) value.reset();
  return value;
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error("cannot read " + path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// A PEM text as such, or as a file.
struct Source {
  std::optional<std::string> path, data;
  std::string text() const {
    if (path) return contents(*path);
    return data.value_or("");
  }
};

struct Profile {
  std::optional<std::string> address, ns, api_key, server_name;
  std::optional<bool> tls_disabled;
  bool has_tls = false, verifies_host = true;
  Source server_ca, certificate, key;
  std::map<std::string, std::string> metadata;
};

std::string metadata_key(std::string key) {
  for (char& c : key) {
    if (c == '_') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return key;
}

// ---- the file

template <class T>
std::optional<T> member(const toml::table& table, std::string_view name) {
  const toml::node* node = table.get(name);
  if (node == nullptr) return std::nullopt;
  if (auto value = node->value_exact<T>()) return value;
  throw Error("temporal.toml: '" + std::string(name) + "' has the wrong type");
}

Source source(const toml::table& table, const std::string& name) {
  Source source{member<std::string>(table, name + "_path"), member<std::string>(table, name + "_data")};
  if (source.path && source.data) throw Error("temporal.toml: both " + name + "_path and " + name + "_data");
  return source;
}

void read_tls(const toml::table& table, Profile& profile) {
  profile.has_tls = true;
  profile.tls_disabled = member<bool>(table, "disabled");
  profile.verifies_host = !member<bool>(table, "disable_host_verification").value_or(false);
  profile.server_name = member<std::string>(table, "server_name");
  profile.server_ca = source(table, "server_ca_cert");
  profile.certificate = source(table, "client_cert");
  profile.key = source(table, "client_key");
}

Profile read(const toml::table& table) {
  Profile profile;
  profile.address = member<std::string>(table, "address");
  profile.ns = member<std::string>(table, "namespace");
  profile.api_key = member<std::string>(table, "api_key");
  if (const auto* tls = table["tls"].as_table()) read_tls(*tls, profile);
  if (const auto* metadata = table["grpc_meta"].as_table()) {
    for (const auto& [key, node] : *metadata) {
      profile.metadata[metadata_key(std::string(key.str()))] = *member<std::string>(*metadata, key.str());
    }
  }
  return profile;
}

std::optional<std::string> default_file() {
  if (const auto folder = filled_variable("XDG_CONFIG_HOME")) return *folder + "/temporalio/temporal.toml";
  if (const auto home = filled_variable("HOME")) return *home + "/.config/temporalio/temporal.toml";
  return std::nullopt;
}

// The profile of that name; without a name "default", which need not exist.
Profile from_file(const ProfileOptions& options, const std::optional<std::string>& name) {
  std::optional<std::string> path;
  if (!options.file.empty()) {
    path = options.file;
  } else {
    if (options.environment) path = filled_variable("TEMPORAL_CONFIG_FILE");
    if (!path) path = default_file();
  }
  toml::table file;
  if (path && std::ifstream(*path)) {
    try {
      file = toml::parse(contents(*path));
    } catch (const toml::parse_error& error) {
      std::ostringstream what;
      what << *path << ": " << error.description() << " at " << error.source().begin;
      throw Error(what.str());
    }
  }
  if (const auto* table = file["profile"][name.value_or("default")].as_table()) return read(*table);
  if (name) throw Error("there is no profile '" + *name + "' in " + path.value_or("any configuration file"));
  return {};
}

// ---- the environment

void override(Source& source, const std::string& name) {
  const auto path = filled_variable(name + "_PATH"), data = filled_variable(name + "_DATA");
  if (path && (data || source.data)) throw Error(name + "_PATH: the data is given already");
  if (data && source.path) throw Error(name + "_DATA: the path is given already");
  if (path) source = {path, {}};
  if (data) source = {{}, data};
}

std::optional<bool> truth(const std::string& text) {
  if (text == "true" || text == "TRUE" || text == "True" || text == "1") return true;
  if (text == "false" || text == "FALSE" || text == "False" || text == "0") return false;
  return std::nullopt;
}

void override_tls(Profile& profile) {
  if (const auto tls = variable("TEMPORAL_TLS")) {
    profile.has_tls = true;
    if (const auto value = truth(*tls)) profile.tls_disabled = !*value;
  }
  if (const auto name = filled_variable("TEMPORAL_TLS_SERVER_NAME")) profile.server_name = name;
  if (const auto off = variable("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION")) {
    profile.has_tls = true;
    if (const auto value = truth(*off)) profile.verifies_host = !*value;
  }
  override(profile.server_ca, "TEMPORAL_TLS_SERVER_CA_CERT");
  override(profile.certificate, "TEMPORAL_TLS_CLIENT_CERT");
  override(profile.key, "TEMPORAL_TLS_CLIENT_KEY");
  for (const Source* source : {&profile.server_ca, &profile.certificate, &profile.key})
    profile.has_tls |= source->path || source->data;
  profile.has_tls |= profile.server_name.has_value();
}

void override_metadata(Profile& profile) {
  static constexpr std::string_view kPrefix = "TEMPORAL_GRPC_META_";
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == text.npos) continue;
    const std::string key = metadata_key(std::string(text.substr(kPrefix.size(), equals - kPrefix.size())));
    if (equals + 1 == text.size()) {
      profile.metadata.erase(key);
    } else {
      profile.metadata[key] = text.substr(equals + 1);
    }
  }
}

// An empty one takes back what the file says.
void override(Profile& profile) {
  if (auto address = variable("TEMPORAL_ADDRESS")) profile.address = std::move(address);
  if (auto ns = variable("TEMPORAL_NAMESPACE")) profile.ns = std::move(ns);
  if (auto key = variable("TEMPORAL_API_KEY")) profile.api_key = std::move(key);
  override_tls(profile);
  override_metadata(profile);
}

}  // namespace

ClientOptions ClientOptions::from_profile(const ProfileOptions& options) {
  std::optional<std::string> name;
  if (!options.profile.empty()) {
    name = options.profile;
  } else if (options.environment) {
    name = filled_variable("TEMPORAL_PROFILE");
  }
  Profile profile;
  if (options.read_file) profile = from_file(options, name);
  if (options.environment) override(profile);
  ClientOptions client;
  if (profile.address && !profile.address->empty()) client.address = *profile.address;
  if (profile.ns && !profile.ns->empty()) client.ns = *profile.ns;
  client.api_key = profile.api_key.value_or("");
  client.grpc_metadata = std::move(profile.metadata);
  if (profile.has_tls || profile.tls_disabled) client.tls = !profile.tls_disabled.value_or(false);
  if (client.tls == false) return client;
  if (!profile.verifies_host) {
    throw Error(
        "a server's name is always verified: give its name in server_name, or its certificate in "
        "server_ca_cert_path, instead of disable_host_verification");
  }
  client.tls_server_name = profile.server_name.value_or("");
  client.tls_server_ca = profile.server_ca.text();
  client.tls_certificate = profile.certificate.text();
  client.tls_key = profile.key.text();
  return client;
}

ClientOptions ClientOptions::from_environment() {
  return from_profile({});
}

}  // namespace v1
}  // namespace perdure
