#include "rpc/credentials.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "rpc/authorization.h"

namespace moesaic::rpc {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;

/// A PEM bundle of every root a machine trusts has a quarter of this.
constexpr std::size_t kMaxPemBytes = std::size_t{1} << 20;

/// gRPC reports an unreadable file only in its log, so look first.
absl::Status CheckReadable(const std::string& path) {
  return base::ReadFile(path, kMaxPemBytes).status();
}

absl::StatusOr<std::shared_ptr<FileWatcherCertificateProvider>> WatchFiles(
    const Credentials& credentials) {
  if (credentials.certificate_path.empty() != credentials.private_key_path.empty()) {
    return absl::InvalidArgumentError("TLS: a certificate and its private key go together");
  }
  if (!credentials.certificate_path.empty()) {
    MOESAIC_RETURN_IF_ERROR(CheckReadable(credentials.certificate_path));
    MOESAIC_RETURN_IF_ERROR(CheckReadable(credentials.private_key_path));
  }
  if (!credentials.root_certificates_path.empty()) {
    MOESAIC_RETURN_IF_ERROR(CheckReadable(credentials.root_certificates_path));
  }
  const auto seconds =
      std::max<std::int64_t>(1, absl::ToInt64Seconds(credentials.refresh_interval));
  return std::make_shared<FileWatcherCertificateProvider>(
      credentials.private_key_path, credentials.certificate_path,
      credentials.root_certificates_path, static_cast<unsigned>(seconds));
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeTlsServerCredentials(
    const Credentials& credentials) {
  if (credentials.certificate_path.empty()) {
    return absl::InvalidArgumentError("TLS: a server needs a certificate and a private key");
  }
  MOESAIC_ASSIGN_OR_RETURN(auto provider, WatchFiles(credentials));
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (!credentials.root_certificates_path.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

/// Plain text on this machine only, admitting nobody from elsewhere; unlike
/// InsecureServerCredentials it runs an authoriser.
std::shared_ptr<grpc::ServerCredentials> MakeLoopbackServerCredentials(bool unix_socket) {
  return grpc::experimental::LocalServerCredentials(unix_socket ? UDS : LOCAL_TCP);
}

}  // namespace

bool IsLoopback(std::string_view address) {
  if (address.starts_with("unix:")) return true;
  if (address.starts_with("[::1]:") || address.starts_with("localhost:")) return true;
  // 127.a.b.c: a host name that merely begins like one ("127.example.com") is not loopback.
  const std::string_view host = address.substr(0, address.rfind(':'));
  int dots = 0;
  for (const char c : host) {
    if (c == '.') {
      ++dots;
    } else if (c < '0' || c > '9') {
      return false;
    }
  }
  return dots == 3 && host.starts_with("127.");
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const Credentials& credentials, std::string_view address, bool allow_insecure,
    Authorizer authorizer) {
  std::shared_ptr<grpc::ServerCredentials> result;
  if (credentials.kind == Credentials::Kind::kTls) {
    MOESAIC_ASSIGN_OR_RETURN(result, MakeTlsServerCredentials(credentials));
  } else if (IsLoopback(address)) {
    if (!authorizer) return grpc::InsecureServerCredentials();
    result = MakeLoopbackServerCredentials(address.starts_with("unix:"));
  } else if (!allow_insecure) {
    return absl::FailedPreconditionError(
        absl::StrCat("refusing to listen on ", base::ToAbsl(address),
                     " in plain text: give TLS files, or --insecure"));
  } else if (authorizer) {
    return absl::FailedPreconditionError(
        absl::StrCat("an authoriser cannot guard ", base::ToAbsl(address),
                     " in plain text: callers have no identity there"));
  } else {
    return grpc::InsecureServerCredentials();
  }
  if (authorizer) {
    result->SetAuthMetadataProcessor(MakeAuthorizationProcessor(std::move(authorizer)));
  }
  return result;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const Credentials& credentials) {
  if (credentials.kind == Credentials::Kind::kInsecure) return grpc::InsecureChannelCredentials();
  if (credentials.root_certificates_path.empty()) {
    return absl::InvalidArgumentError("TLS: a client needs the server's root certificates");
  }
  MOESAIC_ASSIGN_OR_RETURN(auto provider, WatchFiles(credentials));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(provider);
  options.watch_root_certs();
  if (!credentials.certificate_path.empty()) options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace moesaic::rpc
