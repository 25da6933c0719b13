#include "rpc/credentials.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::rpc {
namespace {

using ::testing::HasSubstr;

TEST(CredentialsTest, WhatIsLoopback) {
  for (const char* address :
       {"127.0.0.1:80", "127.1.2.3:0", "localhost:1", "[::1]:5", "unix:/tmp/socket"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"0.0.0.0:80", "10.0.0.1:80", "[::]:80", "127.example.com:80",
                              "127.0.0.1.example.com:80", "localhost.example.com:1", ":80", ""}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(CredentialsTest, PlainTextStaysOnThisMachine) {
  EXPECT_TRUE(MakeServerCredentials({}, "127.0.0.1:0", false, nullptr).ok());
  const absl::Status refused = MakeServerCredentials({}, "0.0.0.0:8000", false, nullptr).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("0.0.0.0:8000"));
  EXPECT_TRUE(MakeServerCredentials({}, "0.0.0.0:8000", true, nullptr).ok());
}

TEST(CredentialsTest, AnAuthoriserNeedsAPeerToJudge) {
  const Authorizer everybody = [](std::string_view, const Peer&) { return absl::OkStatus(); };
  EXPECT_TRUE(MakeServerCredentials({}, "localhost:0", false, everybody).ok());
  EXPECT_EQ(MakeServerCredentials({}, "0.0.0.0:8000", true, everybody).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(CredentialsTest, TlsFilesAreCheckedAtOnce) {
  Credentials tls{.kind = Credentials::Kind::kTls};
  EXPECT_EQ(MakeServerCredentials(tls, "0.0.0.0:1", false, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeChannelCredentials(tls).status().code(), absl::StatusCode::kInvalidArgument);
  tls.certificate_path = "/nowhere/cert.pem";
  EXPECT_EQ(MakeServerCredentials(tls, "0.0.0.0:1", false, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument)
      << "no key";
  tls.private_key_path = "/nowhere/key.pem";
  const absl::Status missing = MakeServerCredentials(tls, "0.0.0.0:1", false, nullptr).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("/nowhere/cert.pem"));
}

}  // namespace
}  // namespace moesaic::rpc
