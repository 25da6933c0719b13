#include "shard/shard.h"

#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "http/client.h"
#include "kernels/expert_ffn.h"
#include "placement/view/topology.h"
#include "proto/moesaic/v1/expert_shard.grpc.pb.h"
#include "rpc/channel_factory.h"
#include "rpc/handshake.h"
#include "shard/expert_packing.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace moesaic::shard {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kHidden = 96;
constexpr std::uint32_t kUnitSize = 4;

ShardOptions Options(base::DType dtype = base::DType::kF32) {
  ShardOptions options;
  options.model_dir = kTinyCheckpoint;
  options.name = "shard-0";
  options.memory_bytes = 1 << 30;
  options.threads = 2;
  options.unit_size = kUnitSize;
  options.compute_dtype = dtype;
  options.wire_dtype = dtype;
  return options;
}

v1::LayerUnits Units(std::uint32_t layer, std::vector<std::uint32_t> units) {
  v1::LayerUnits proto;
  proto.set_layer(layer);
  proto.mutable_units()->Add(units.begin(), units.end());
  return proto;
}

/// A client made of nothing but the generated code.
class Client {
 public:
  explicit Client(const std::string& address)
      : channel_(*rpc::MakeChannel(address, {})), stub_(v1::ExpertShard::NewStub(channel_)) {}

  grpc::Status Load(std::vector<v1::LayerUnits> units, std::uint64_t term = 1) {
    v1::LoadUnitsRequest request;
    request.mutable_epoch()->set_term(term);
    for (const auto& layer : units) *request.add_units() = layer;
    v1::LoadUnitsResponse response;
    return stub_->LoadUnits(Context().get(), request, &response);
  }
  grpc::Status Unload(std::vector<v1::LayerUnits> units, std::uint64_t term = 1) {
    v1::UnloadUnitsRequest request;
    request.mutable_epoch()->set_term(term);
    for (const auto& layer : units) *request.add_units() = layer;
    v1::UnloadUnitsResponse response;
    return stub_->UnloadUnits(Context().get(), request, &response);
  }
  v1::DescribeResponse Describe() {
    v1::DescribeResponse response;
    EXPECT_TRUE(stub_->Describe(Context().get(), {}, &response).ok());
    return response;
  }
  std::uint32_t Drain() {
    v1::DrainResponse response;
    EXPECT_TRUE(stub_->Drain(Context().get(), {}, &response).ok());
    return response.in_flight();
  }
  v1::ExpertShard::Stub& stub() { return *stub_; }

  std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return context;
  }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::ExpertShard::Stub> stub_;
};

/// A Dispatch stream of that client.
class Stream {
 public:
  Stream(Client& client, const v1::Hello& hello) : context_(client.Context()) {
    stream_ = client.stub().Dispatch(context_.get());
    v1::DispatchCall call;
    *call.mutable_hello() = hello;
    stream_->Write(call);
    v1::DispatchAnswer answer;
    open_ = stream_->Read(&answer) && answer.has_hello();
    hello_ = answer.hello();
  }
  bool open() const { return open_; }
  const v1::Hello& hello() const { return hello_; }
  /// Sends nothing more, reads to the end. `answers`: replies that came, if asked for.
  grpc::Status Finish(int* answers = nullptr) {
    stream_->WritesDone();
    v1::DispatchAnswer rest;
    while (stream_->Read(&rest)) {
      if (answers != nullptr) ++*answers;
    }
    return stream_->Finish();
  }
  void Write(const v1::DispatchRequest& request) {
    v1::DispatchCall call;
    *call.mutable_dispatch() = request;
    EXPECT_TRUE(stream_->Write(call));
  }
  v1::DispatchReply Call(const v1::DispatchRequest& request) {
    v1::DispatchCall call;
    *call.mutable_dispatch() = request;
    EXPECT_TRUE(stream_->Write(call));
    v1::DispatchAnswer answer;
    EXPECT_TRUE(stream_->Read(&answer));
    EXPECT_FALSE(answer.reply().more());
    return answer.reply();
  }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::DispatchCall, v1::DispatchAnswer>> stream_;
  v1::Hello hello_;
  bool open_ = false;
};

v1::Hello RouterHello(Client& client) {
  rpc::LocalHello local{.sender = "router-0",
                        .build = "test",
                        .incarnation = 5,
                        .model = placement::IdentityFromProto(client.Describe().model()),
                        .wire_dtypes = {rpc::WireDtype::kF32, rpc::WireDtype::kBF16}};
  return rpc::MakeHello(local, rpc::Lane::kDecode);
}

/// Rows of small numbers that differ everywhere.
std::vector<float> SomeRows(std::uint32_t count) {
  std::vector<float> rows(count * kHidden);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 64.0f;
  }
  return rows;
}

/// Three rows of layer 2: row 0 → experts 0, 1, 7; row 2 → experts 1, 15.
v1::DispatchRequest Request(const std::vector<float>& rows) {
  v1::DispatchRequest request;
  request.set_dispatch_id(77);
  request.set_layer(2);
  request.set_dtype(v1::WIRE_DTYPE_F32);
  request.set_row_count(3);
  request.set_rows(rows.data(), rows.size() * sizeof(float));
  for (const std::uint32_t row : {0, 0, 0, 2, 2}) request.add_row_index(row);
  for (const std::uint32_t expert : {0, 1, 7, 1, 15}) request.add_expert_id(expert);
  for (const float weight : {0.5f, 0.25f, 0.125f, 0.75f, 0.3f}) request.add_weight(weight);
  return request;
}

/// The definition: units (0, 0), (0, 1), (2, 0), (2, 3) of `Request`, [4, hidden] f32.
std::vector<float> Expected(std::vector<float> rows) {
  const auto checkpoint = OpenTinyCheckpoint();
  const model::WeightMap weights(*checkpoint);
  std::vector<float> y(4 * kHidden, -1.0f);
  std::vector<std::vector<kernels::ExpertEntry>> entries = {
      {{.row = 0, .slot = 0, .weight = 0.5f, .first = true}},
      {{.row = 0, .slot = 0, .weight = 0.25f},
       {.row = 2, .slot = 2, .weight = 0.75f, .first = true}},
      {{.row = 0, .slot = 1, .weight = 0.125f, .first = true}},
      {{.row = 2, .slot = 3, .weight = 0.3f, .first = true}}};
  std::vector<PackedExpert> experts;
  for (const std::uint32_t id : {0, 1, 7, 15}) {
    experts.push_back(*PackExpert(*checkpoint,
                                  *weights.RoutedExpert(base::LayerId(2), base::ExpertId(id)),
                                  StorageRule{.compute = base::DType::kF32}, nullptr));
  }
  std::vector<kernels::ExpertGroup> groups;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    groups.push_back({&experts[i].gate_up, &experts[i].down, entries[i]});
  }
  kernels::ExpertFfnReference({.x = base::TensorView::Host(rows.data(), {3, kHidden}),
                               .groups = groups,
                               .y = base::TensorView::Host(y.data(), {4, kHidden})});
  return y;
}

/// What grpc.health.v1 says of ExpertShard; its messages, a string and an enum, are spelled out
/// here because the packaged gRPC does not ship their generated code.
bool Serving(const std::string& address) {
  const std::string service = "moesaic.v1.ExpertShard";
  const std::string request = std::string("\x0a") + static_cast<char>(service.size()) + service;
  grpc::GenericStub stub(*rpc::MakeChannel(address, {}));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::Slice slice(request);
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                          grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  grpc::Slice answer;
  return status.ok() && response.DumpToSingleSlice(&answer).ok() &&
         std::string(answer.begin(), answer.end()) == "\x08\x01";
}

std::unique_ptr<Shard> Start(ShardOptions options = Options()) {
  auto shard = Shard::Build(std::move(options));
  EXPECT_TRUE(shard.ok()) << shard.status();
  return *std::move(shard);
}

TEST(Shard, ComputesWhatTheDefinitionSaysBitForBit) {
  const auto shard = Start();
  Client client(shard->address());
  ASSERT_TRUE(client.Load({Units(2, {0, 1, 2, 3})}).ok());
  Stream stream(client, RouterHello(client));
  ASSERT_TRUE(stream.open());
  EXPECT_EQ(stream.hello().sender(), "shard-0");
  EXPECT_GT(stream.hello().credit_bytes(), 0u);

  const std::vector<float> rows = SomeRows(3);
  const v1::DispatchReply reply = stream.Call(Request(rows));
  ASSERT_EQ(reply.code(), v1::DISPATCH_CODE_OK) << reply.error();
  EXPECT_EQ(reply.dispatch_id(), 77u);
  EXPECT_EQ(reply.dtype(), v1::WIRE_DTYPE_F32);
  EXPECT_THAT(reply.row_index(), ElementsAre(0, 0, 2, 2));
  EXPECT_THAT(reply.unit_id(), ElementsAre(0, 1, 0, 3));
  EXPECT_EQ(reply.missing_units_size(), 0);
  EXPECT_EQ(reply.batch_rows(), 5u);
  const std::vector<float> expected = Expected(rows);
  ASSERT_EQ(reply.rows().size(), expected.size() * sizeof(float));
  EXPECT_EQ(std::memcmp(reply.rows().data(), expected.data(), reply.rows().size()), 0);
  EXPECT_EQ(client.Describe().expert_rows_total(), 5u);
  EXPECT_EQ(client.Describe().dispatches_total(), 1u);
  EXPECT_EQ(shard->expert_rows_total(), 5u);
}

TEST(Shard, RoundsOnceToBf16) {
  const auto shard = Start(Options(base::DType::kBF16));
  Client client(shard->address());
  ASSERT_TRUE(client.Load({Units(2, {0, 1, 2, 3})}).ok());
  Stream stream(client, RouterHello(client));
  v1::DispatchRequest request = Request(SomeRows(3));
  std::string rows;
  for (const float value : SomeRows(3)) {
    const std::uint16_t bits = base::F32ToBF16(value);
    rows.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
  }
  request.set_rows(rows);
  request.set_dtype(v1::WIRE_DTYPE_BF16);
  const v1::DispatchReply reply = stream.Call(request);
  ASSERT_EQ(reply.code(), v1::DISPATCH_CODE_OK) << reply.error();
  EXPECT_EQ(reply.dtype(), v1::WIRE_DTYPE_BF16);
  EXPECT_EQ(reply.rows().size(), 4 * kHidden * 2);
  // The whole computation differs from the f32 one by roundings to 8 bits only.
  const std::vector<float> expected = Expected(SomeRows(3));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, reply.rows().data() + 2 * i, 2);
    EXPECT_NEAR(base::BF16ToF32(bits), expected[i], 0.02 + 0.02 * std::abs(expected[i]));
  }
}

TEST(Shard, AnswersWhatItHoldsAndNamesWhatItDoesNot) {
  const auto shard = Start();
  Client client(shard->address());
  ASSERT_TRUE(client.Load({Units(2, {0, 1, 3})}).ok());
  ASSERT_TRUE(client.Unload({Units(2, {1})}).ok());
  Stream stream(client, RouterHello(client));
  const std::vector<float> rows = SomeRows(3);
  const v1::DispatchReply reply = stream.Call(Request(rows));
  ASSERT_EQ(reply.code(), v1::DISPATCH_CODE_OK) << reply.error();
  EXPECT_THAT(reply.missing_units(), ElementsAre(1));
  EXPECT_THAT(reply.row_index(), ElementsAre(0, 2, 2));
  EXPECT_THAT(reply.unit_id(), ElementsAre(0, 0, 3));
  const std::vector<float> expected = Expected(rows);
  EXPECT_EQ(std::memcmp(reply.rows().data(), expected.data(), kHidden * 4), 0);
  EXPECT_EQ(std::memcmp(reply.rows().data() + kHidden * 4, expected.data() + 2 * kHidden,
                        2 * kHidden * 4),
            0);
}

TEST(Shard, RefusesDispatchesThatContradictTheModel) {
  const auto shard = Start();
  Client client(shard->address());
  Stream stream(client, RouterHello(client));
  const auto error = [&](auto change) {
    v1::DispatchRequest request = Request(SomeRows(3));
    change(request);
    const v1::DispatchReply reply = stream.Call(request);
    EXPECT_EQ(reply.code(), v1::DISPATCH_CODE_INVALID);
    return reply.error();
  };
  EXPECT_THAT(error([](auto& r) { r.set_layer(0); }), HasSubstr("layer 0 has no routed experts"));
  EXPECT_THAT(error([](auto& r) { r.set_layer(5); }), HasSubstr("layer 5"));
  EXPECT_THAT(error([](auto& r) { r.set_expert_id(4, 16); }), HasSubstr("expert 16 of 16"));
  EXPECT_THAT(error([](auto& r) {
                r.set_dtype(v1::WIRE_DTYPE_BF16);
                r.set_rows(std::string(3 * kHidden * 2, '\0'));
              }),
              HasSubstr("wire dtype bf16; this cluster uses f32"));
  EXPECT_EQ(stream.Call(Request(SomeRows(3))).code(), v1::DISPATCH_CODE_OK) << "the stream lives";
}

TEST(Shard, RefusesARouterOfAnotherModelNamingBothValues) {
  const auto shard = Start();
  Client client(shard->address());
  const auto refusal = [&](auto change) {
    v1::Hello hello = RouterHello(client);
    change(hello);
    Stream stream(client, hello);
    EXPECT_FALSE(stream.open());
    const grpc::Status status = stream.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    return status.error_message();
  };
  const std::string fingerprint = client.Describe().model().model_fingerprint();
  EXPECT_THAT(refusal([](auto& h) { h.mutable_model()->set_model_fingerprint("other"); }),
              ::testing::AllOf(HasSubstr(fingerprint), HasSubstr("'other'")));
  const std::string numerics = client.Describe().model().numerics_id();
  EXPECT_THAT(refusal([](auto& h) { h.mutable_model()->set_numerics_id("n2"); }),
              ::testing::AllOf(HasSubstr(numerics), HasSubstr("'n2'")));
  refusal([](auto& h) {
    h.set_protocol_min(90);
    h.set_protocol_max(91);
  });
}

TEST(Shard, LoadsAreBoundedOrderedByTermAndChecked) {
  ShardOptions options = Options();
  options.memory_bytes = 1;
  const auto small = Start(options);
  Client refused(small->address());
  EXPECT_EQ(refused.Load({Units(1, {0})}).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.Describe().held_bytes(), 0u);

  const auto shard = Start();
  Client client(shard->address());
  EXPECT_TRUE(client.Load({Units(1, {0})}, /*term=*/5).ok());
  const grpc::Status old = client.Load({Units(1, {1})}, /*term=*/4);
  EXPECT_EQ(old.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(old.error_message(), HasSubstr("term 4 is below the highest seen, 5"));
  EXPECT_EQ(client.Unload({Units(1, {0})}, 4).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(client.Load({Units(0, {0})}, 5).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(client.Load({Units(1, {4})}, 5).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(client.Describe().units_size(), 1);
  EXPECT_EQ(client.Describe().epoch().term(), 5u);
}

TEST(Shard, IsServingFromTheFirstLoadToTheLastUnload) {
  const auto shard = Start();
  Client client(shard->address());
  EXPECT_FALSE(Serving(shard->address()));
  ASSERT_TRUE(client.Load({Units(2, {0, 1})}).ok());
  EXPECT_TRUE(Serving(shard->address()));
  ASSERT_TRUE(client.Unload({Units(2, {0})}).ok());
  EXPECT_TRUE(Serving(shard->address()));
  ASSERT_TRUE(client.Unload({Units(2, {1})}).ok());
  EXPECT_FALSE(Serving(shard->address()));
}

TEST(Shard, DrainsAndTakesNoMore) {
  const auto shard = Start();
  Client client(shard->address());
  ASSERT_TRUE(client.Load({Units(2, {0, 1, 2, 3})}).ok());
  Stream stream(client, RouterHello(client));
  EXPECT_EQ(client.Drain(), 0u);
  EXPECT_TRUE(client.Describe().draining());
  EXPECT_FALSE(Serving(shard->address()));
  EXPECT_EQ(stream.Call(Request(SomeRows(3))).code(), v1::DISPATCH_CODE_DRAINING);
}

TEST(Shard, AHalfClosedStreamGetsTheAnswersItWaitsFor) {
  const auto shard = Start();
  Client client(shard->address());
  ASSERT_TRUE(client.Load({Units(2, {0, 1, 2, 3})}).ok());
  Stream stream(client, RouterHello(client));
  constexpr int kDispatches = 20;
  for (int i = 0; i < kDispatches; ++i) stream.Write(Request(SomeRows(3)));
  int answers = 0;
  const grpc::Status status = stream.Finish(&answers);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answers, kDispatches);
}

TEST(Shard, RepliesAndReportsSayHowFastItIs) {
  const auto shard = Start();
  Client client(shard->address());
  ASSERT_TRUE(client.Load({Units(2, {0, 1, 2, 3})}).ok());
  Stream stream(client, RouterHello(client));
  v1::DispatchReply reply;
  for (int i = 0; i < 3; ++i) reply = stream.Call(Request(SomeRows(3)));
  EXPECT_GT(reply.ns_per_row() + reply.ns_per_expert(), 0u);
}

TEST(Shard, ComesBackWithTheUnitsItRemembers) {
  const std::string folder = ::testing::TempDir() + "/shard_test." + std::to_string(::getpid());
  std::filesystem::create_directory(folder);
  ShardOptions options = Options();
  options.state_dir = folder;
  {
    const auto shard = Start(options);
    Client client(shard->address());
    ASSERT_TRUE(client.Load({Units(1, {2}), Units(3, {0, 1})}, /*term=*/9).ok());
  }
  auto shard = Start(options);
  Client client(shard->address());
  v1::DescribeResponse described = client.Describe();
  while (described.units_size() < 2 || described.units(1).units_size() < 2) {
    described = client.Describe();
  }
  EXPECT_EQ(described.units(0).layer(), 1u);
  EXPECT_THAT(described.units(0).units(), ElementsAre(2));
  EXPECT_THAT(described.units(1).units(), ElementsAre(0, 1));
  EXPECT_EQ(described.epoch().term(), 9u);
  shard.reset();
  std::filesystem::remove_all(folder);
}

TEST(Shard, ServesItsMetrics) {
  ShardOptions options = Options();
  options.http_address = "127.0.0.1:0";
  options.calibration = absl::ZeroDuration();  // it loads a unit, too
  const auto shard = *Shard::Build(options);
  Client client(shard->address());
  ASSERT_TRUE(client.Load({Units(1, {0, 1})}).ok());
  const http::Client http = *http::Client::Create("http://" + shard->http_address());
  const std::string text = http.Get("/metrics")->body;
  EXPECT_THAT(text, HasSubstr("moesaic_shard_held_units 2"));
  EXPECT_THAT(text, HasSubstr("moesaic_unit_loads_total 2"));
  EXPECT_THAT(text, HasSubstr("moesaic_shard_memory_bytes 1073741824"));
  EXPECT_THAT(text, HasSubstr("moesaic_busy_seconds_total{phase=\"decode\"} 0"));
  EXPECT_THAT(text, HasSubstr("role=\"shard\""));
}

TEST(Shard, RefusesImpossibleOptions) {
  const auto code = [](auto change) {
    ShardOptions options = Options();
    change(options);
    return Shard::Build(std::move(options)).status().code();
  };
  EXPECT_EQ(code([](auto& o) { o.name.clear(); }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& o) { o.memory_bytes = 0; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& o) { o.threads = 0; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& o) { o.unit_size = 99; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& o) { o.wire_dtype = base::DType::kI32; }),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& o) { o.model_dir = "/nowhere"; }), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace moesaic::shard
