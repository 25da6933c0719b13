#include "rpc/handshake.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

LocalHello Local(const std::string& sender) {
  return {.sender = sender,
          .build = "test",
          .incarnation = 7,
          .model = {"model", "f00d", "beef", 64, 2},
          .wire_dtypes = {WireDtype::kF32, WireDtype::kBF16},
          .credit_bytes = 1000};
}

TEST(HandshakeTest, AnEqualPeerIsAccepted) {
  const auto peer = CheckHello(Local("shard-0"), MakeHello(Local("router-0"), Lane::kPrefill));
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->sender, "router-0");
  EXPECT_EQ(peer->incarnation, 7u);
  EXPECT_EQ(peer->lane, Lane::kPrefill);
  EXPECT_EQ(peer->credit_bytes, 1000u);
  EXPECT_EQ(peer->protocol, kProtocolMax);
  EXPECT_EQ(peer->model, Local("").model);
  EXPECT_THAT(peer->wire_dtypes, ElementsAre(WireDtype::kF32, WireDtype::kBF16));
}

/// A hello that differs in one way, and the two values its refusal must name.
struct Mismatch {
  const char* what;
  void (*change)(v1::Hello&);
  const char* ours;
  const char* theirs;
};

class HandshakeMismatchTest : public ::testing::TestWithParam<Mismatch> {};

TEST_P(HandshakeMismatchTest, IsRefusedNamingBothValues) {
  v1::Hello hello = MakeHello(Local("router-0"), Lane::kDecode);
  GetParam().change(hello);
  const absl::Status refused = CheckHello(Local("shard-0"), hello).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  const std::string text(refused.message());
  EXPECT_THAT(text, HasSubstr(GetParam().what));
  EXPECT_THAT(text, HasSubstr(GetParam().ours));
  EXPECT_THAT(text, HasSubstr(GetParam().theirs));
}

INSTANTIATE_TEST_SUITE_P(
    All, HandshakeMismatchTest,
    ::testing::Values(
        Mismatch{"protocol",
                 [](v1::Hello& h) {
                   h.set_protocol_min(5);
                   h.set_protocol_max(6);
                 },
                 "1 to 1", "5 to 6"},
        Mismatch{"fingerprint",
                 [](v1::Hello& h) { h.mutable_model()->set_model_fingerprint("cafe"); }, "f00d",
                 "cafe"},
        Mismatch{"numerics", [](v1::Hello& h) { h.mutable_model()->set_numerics_id("abba"); },
                 "beef", "abba"},
        Mismatch{"hidden_size", [](v1::Hello& h) { h.mutable_model()->set_hidden_size(128); }, "64",
                 "128"},
        Mismatch{"unit_size", [](v1::Hello& h) { h.mutable_model()->set_unit_size(8); }, "2",
                 "8"}));

TEST(HandshakeTest, AnotherServedNameIsAccepted) {
  v1::Hello hello = MakeHello(Local("router-0"), Lane::kDecode);
  hello.mutable_model()->set_model_id("alias");
  EXPECT_TRUE(CheckHello(Local("shard-0"), hello).ok());
}

TEST(HandshakeTest, NonsenseIsRefused) {
  v1::Hello nobody = MakeHello(Local(""), Lane::kDecode);
  EXPECT_EQ(CheckHello(Local("s"), nobody).status().code(), absl::StatusCode::kInvalidArgument);
  v1::Hello lane = MakeHello(Local("r"), Lane::kDecode);
  lane.set_lane(static_cast<v1::Lane>(17));
  EXPECT_EQ(CheckHello(Local("s"), lane).status().code(), absl::StatusCode::kInvalidArgument);
  v1::Hello long_name = MakeHello(Local(std::string(1000, 'x')), Lane::kDecode);
  EXPECT_EQ(CheckHello(Local("s"), long_name).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(HandshakeTest, UnknownWireDtypesAreIgnored) {
  v1::Hello hello = MakeHello(Local("router-0"), Lane::kDecode);
  hello.add_wire_dtypes(static_cast<v1::WireDtype>(42));
  EXPECT_EQ(CheckHello(Local("shard-0"), hello)->wire_dtypes.size(), 2u);
}

}  // namespace
}  // namespace moesaic::rpc
