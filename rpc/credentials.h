#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace moesaic::rpc {

/// How a server proves itself and what it asks of its clients, or the other way round. The same
/// options serve both sides. Immutable value.
struct Credentials {
  enum class Kind {
    kInsecure,  ///< Plain text; between processes of one machine unless explicitly allowed.
    kTls,       ///< TLS; mutual when both sides name a certificate and a root.
  };
  Kind kind = Kind::kInsecure;
  /// PEM files, read again when they change. A server needs the first two; a client needs them
  /// only for mutual TLS.
  std::string certificate_path = {};
  std::string private_key_path = {};
  /// PEM bundle the other side's certificate must descend from. On a server: empty = clients need
  /// no certificate. On a client: required.
  std::string root_certificates_path = {};
  /// How often changed files are looked for.
  absl::Duration refresh_interval = absl::Seconds(60);
  /// Client: name expected in the server's certificate instead of the address; empty = the address.
  std::string expected_server_name = {};
};

/// Who is calling, as far as the transport can prove it.
struct Peer {
  /// Subject alternative names (or the common name) of the client's certificate; empty without
  /// mutual TLS.
  std::vector<std::string> identities;
};

/// Decides whether `peer` may call `method` ("/moesaic.v1.ExpertShard/Drain"). Called before the
/// handler, once per call or stream, from several threads at once; must not block. A refusal
/// reaches the caller with its code (PermissionDenied, Unauthenticated) and message.
using Authorizer = std::function<absl::Status(std::string_view method, const Peer& peer)>;

/// Whether host:port is a loopback address ("localhost", 127.0.0.0/8, "[::1]", "unix:").
bool IsLoopback(std::string_view address);

/// The credentials of a server that listens on `address`.
/// Errors: FailedPrecondition when plain text would leave this machine and `allow_insecure` is not
/// set, or when an authoriser is asked to guard such a server (it would have no peer to judge);
/// InvalidArgument when a file option is missing; NotFound naming a file that cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const Credentials& credentials, std::string_view address, bool allow_insecure,
    Authorizer authorizer);

/// The credentials of a channel. Errors: as above.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const Credentials& credentials);

}  // namespace moesaic::rpc
