#include "rpc/dispatch_wire.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "google/protobuf/unknown_field_set.h"
#include "gtest/gtest.h"
#include "proto/moesaic/v1/expert_shard.pb.h"

namespace moesaic::rpc {
namespace {

constexpr int kHidden = 130;  // Not a multiple of the fp8 block.

std::string Flatten(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string flat;
  for (const grpc::Slice& s : slices) {
    flat.append(reinterpret_cast<const char*>(s.begin()), s.size());
  }
  return flat;
}

/// The bytes as gRPC may hand them over: in slices cut anywhere.
grpc::ByteBuffer CutAnywhere(const std::string& bytes, std::mt19937& random) {
  std::vector<grpc::Slice> slices;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t n = std::min<std::size_t>(1 + random() % 97, bytes.size() - at);
    slices.emplace_back(bytes.substr(at, n));
    at += n;
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

grpc::ByteBuffer OneSlice(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string RandomBytes(std::size_t count, std::mt19937& random) {
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

std::string RandomScales(std::size_t count, std::mt19937& random) {
  std::string bytes(4 * count, '\0');
  for (std::size_t i = 0; i < count; ++i) {
    const float scale = static_cast<float>(1 + random() % 1000) / 448.0f;
    std::memcpy(bytes.data() + 4 * i, &scale, sizeof scale);
  }
  return bytes;
}

/// A valid request with random content in every field.
v1::DispatchRequest RandomRequest(std::mt19937& random) {
  v1::DispatchRequest request;
  request.set_dispatch_id(random());
  request.set_layer(random() % 70);
  request.mutable_epoch()->set_term(random() % 5);
  request.mutable_epoch()->set_version(random());
  request.set_dtype(static_cast<v1::WireDtype>(1 + random() % 3));
  request.set_remaining_us(random() % 3 == 0 ? 0 : random());
  const std::uint32_t rows = 1 + random() % 5;
  request.set_row_count(rows);
  const int element = request.dtype() == v1::WIRE_DTYPE_F32    ? 4
                      : request.dtype() == v1::WIRE_DTYPE_BF16 ? 2
                                                               : 1;
  request.set_rows(RandomBytes(rows * kHidden * element, random));
  if (element == 1) request.set_scales(RandomScales(rows * 2, random));
  for (std::uint32_t row = 0; row < rows; ++row) {
    std::uint32_t expert = 0;
    for (int k = random() % 4; k >= 0; --k) {
      expert += 1 + random() % 20;
      request.add_row_index(row);
      request.add_expert_id(expert);
      request.add_weight(static_cast<float>(random()) / 1e9f);
    }
  }
  if (random() % 2 == 0) {
    for (std::uint32_t row = 0; row < rows; ++row) request.add_adapter_id(random());
  }
  for (int i = static_cast<int>(random() % 4); i > 0; --i) {
    request.add_trace_id(RandomBytes(16, random));
  }
  return request;
}

v1::DispatchReply RandomReply(std::mt19937& random) {
  v1::DispatchReply reply;
  reply.set_dispatch_id(random());
  reply.set_code(v1::DISPATCH_CODE_OK);
  reply.set_more(random() % 2 == 0);
  reply.set_dtype(random() % 2 == 0 ? v1::WIRE_DTYPE_F32 : v1::WIRE_DTYPE_BF16);
  const int results = static_cast<int>(random() % 6);
  for (int i = 0; i < results; ++i) {
    reply.add_row_index(random() % 8);
    reply.add_unit_id(random() % 300);
  }
  const int element = reply.dtype() == v1::WIRE_DTYPE_F32 ? 4 : 2;
  reply.set_rows(RandomBytes(results * kHidden * element, random));
  for (int i = static_cast<int>(random() % 4); i > 0; --i) reply.add_missing_units(random() % 999);
  reply.set_queue_depth_rows(random());
  reply.set_queue_wait_us(random());
  reply.set_compute_us(random());
  reply.set_batch_rows(random() % 2 == 0 ? 0 : random());
  reply.set_ns_per_row(random() % 2 == 0 ? 0 : random());
  reply.set_ns_per_expert(random());
  return reply;
}

template <typename T, typename Field>
void ExpectSameList(absl::Span<const T> list, const Field& field) {
  ASSERT_EQ(list.size() * sizeof(T), field.size() * sizeof(*field.data()));
  if (!list.empty()) {
    EXPECT_EQ(std::memcmp(list.data(), field.data(), list.size() * sizeof(T)), 0);
  }
}

void ExpectSame(const Dispatch& dispatch, const v1::DispatchRequest& request) {
  EXPECT_EQ(dispatch.dispatch_id, request.dispatch_id());
  EXPECT_EQ(dispatch.layer.value(), request.layer());
  EXPECT_EQ(dispatch.epoch.term, request.epoch().term());
  EXPECT_EQ(dispatch.epoch.version, request.epoch().version());
  EXPECT_EQ(static_cast<int>(dispatch.dtype), static_cast<int>(request.dtype()));
  EXPECT_EQ(dispatch.remaining_us, request.remaining_us());
  EXPECT_EQ(dispatch.row_count, request.row_count());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(dispatch.rows.data()) % 64, 0u);
  ExpectSameList(dispatch.rows, request.rows());
  ExpectSameList(dispatch.scales, request.scales());
  ExpectSameList(dispatch.row_index, request.row_index());
  ExpectSameList(dispatch.expert_id, request.expert_id());
  ExpectSameList(dispatch.weight, request.weight());
  ExpectSameList(dispatch.adapter_id, request.adapter_id());
  std::vector<std::string> trace_ids;
  for (const monitoring::TraceId& id : dispatch.trace_ids) {
    trace_ids.emplace_back(id.begin(), id.end());
  }
  EXPECT_TRUE(std::is_permutation(trace_ids.begin(), trace_ids.end(), request.trace_id().begin(),
                                  request.trace_id().end()));
}

void ExpectSame(const DispatchReply& reply, const v1::DispatchReply& proto) {
  EXPECT_EQ(reply.dispatch_id, proto.dispatch_id());
  EXPECT_EQ(static_cast<int>(reply.code), static_cast<int>(proto.code()));
  EXPECT_EQ(reply.error, proto.error());
  EXPECT_EQ(reply.more, proto.more());
  if (!reply.row_index.empty()) {
    EXPECT_EQ(static_cast<int>(reply.dtype), static_cast<int>(proto.dtype()));
  }
  ExpectSameList(reply.row_index, proto.row_index());
  ExpectSameList(reply.unit_id, proto.unit_id());
  ExpectSameList(reply.rows, proto.rows());
  EXPECT_TRUE(std::equal(reply.missing_units.begin(), reply.missing_units.end(),
                         proto.missing_units().begin(), proto.missing_units().end()));
  EXPECT_EQ(reply.queue_depth_rows, proto.queue_depth_rows());
  EXPECT_EQ(reply.queue_wait_us, proto.queue_wait_us());
  EXPECT_EQ(reply.compute_us, proto.compute_us());
  EXPECT_EQ(reply.batch_rows, proto.batch_rows());
  EXPECT_EQ(reply.ns_per_row, proto.ns_per_row());
  EXPECT_EQ(reply.ns_per_expert, proto.ns_per_expert());
}

v1::DispatchCall CallWith(const v1::DispatchRequest& request) {
  v1::DispatchCall call;
  *call.mutable_dispatch() = request;
  return call;
}

v1::DispatchAnswer AnswerWith(const v1::DispatchReply& reply) {
  v1::DispatchAnswer answer;
  *answer.mutable_reply() = reply;
  return answer;
}

/// The same message with its fields in another order, and one nobody knows.
std::string Reordered(const google::protobuf::Message& message, std::mt19937& random) {
  google::protobuf::UnknownFieldSet fields;
  EXPECT_TRUE(fields.ParseFromString(message.SerializeAsString()));
  std::vector<std::string> parts;
  for (int i = 0; i < fields.field_count(); ++i) {
    google::protobuf::UnknownFieldSet one;
    one.AddField(fields.field(i));
    one.SerializeToString(&parts.emplace_back());
  }
  google::protobuf::UnknownFieldSet unknown;
  unknown.AddVarint(100, 5);
  unknown.SerializeToString(&parts.emplace_back());
  std::shuffle(parts.begin(), parts.end(), random);
  std::string bytes;
  for (const std::string& part : parts) bytes += part;
  return bytes;
}

std::string InPayload(const std::string& bytes) {
  google::protobuf::UnknownFieldSet outer;
  outer.AddLengthDelimited(2, bytes);
  std::string result;
  outer.SerializeToString(&result);
  return result;
}

template <typename T>
absl::Span<const T> AsList(const std::string& bytes) {
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

/// `request` as the sender holds it, its rows in a block of `pool`.
Dispatch ToDispatch(const v1::DispatchRequest& request, BufferPool& pool) {
  Dispatch d;
  d.dispatch_id = request.dispatch_id();
  d.layer = base::LayerId(request.layer());
  d.epoch = {request.epoch().term(), request.epoch().version()};
  d.dtype = static_cast<WireDtype>(request.dtype());
  d.remaining_us = request.remaining_us();
  d.row_count = request.row_count();
  d.storage = pool.Take(request.rows().size());
  std::memcpy(d.storage.data(), request.rows().data(), request.rows().size());
  d.rows = {d.storage.data(), request.rows().size()};
  d.scales = AsList<float>(request.scales());
  d.row_index = {request.row_index().data(), static_cast<std::size_t>(request.row_index_size())};
  d.expert_id = {request.expert_id().data(), static_cast<std::size_t>(request.expert_id_size())};
  d.weight = {request.weight().data(), static_cast<std::size_t>(request.weight_size())};
  d.adapter_id = {request.adapter_id().data(), static_cast<std::size_t>(request.adapter_id_size())};
  for (const std::string& id : request.trace_id()) {
    std::memcpy(d.trace_ids.emplace_back().data(), id.data(), id.size());
  }
  return d;
}

TEST(DispatchWireTest, HandWrittenDispatchesAreTheGeneratedBytes) {
  std::mt19937 random(1);
  BufferPool pool;
  for (int i = 0; i < 200; ++i) {
    const v1::DispatchRequest request = RandomRequest(random);
    const Dispatch dispatch = ToDispatch(request, pool);
    const std::string bytes = Flatten(EncodeDispatch(dispatch));
    EXPECT_EQ(bytes, CallWith(request).SerializeAsString());
    EXPECT_LE(bytes.size(), DispatchBytesBound(dispatch.row_count, dispatch.row_index.size(),
                                               kHidden, dispatch.dtype) +
                                4 * dispatch.adapter_id.size());
  }
}

TEST(DispatchWireTest, GeneratedDispatchesAreReadByHandInAnySlices) {
  std::mt19937 random(2);
  BufferPool pool;
  for (int i = 0; i < 200; ++i) {
    const v1::DispatchRequest request = RandomRequest(random);
    const auto call =
        DecodeCall(CutAnywhere(CallWith(request).SerializeAsString(), random), kHidden, pool);
    ASSERT_TRUE(call.ok()) << call.status();
    ExpectSame(std::get<Dispatch>(*call), request);
  }
}

TEST(DispatchWireTest, OtherFieldOrdersFallBackToTheGeneratedParser) {
  std::mt19937 random(3);
  BufferPool pool;
  for (int i = 0; i < 200; ++i) {
    const v1::DispatchRequest request = RandomRequest(random);
    const auto call =
        DecodeCall(CutAnywhere(InPayload(Reordered(request, random)), random), kHidden, pool);
    ASSERT_TRUE(call.ok()) << call.status();
    ExpectSame(std::get<Dispatch>(*call), request);
    const v1::DispatchReply reply = RandomReply(random);
    const auto answer =
        DecodeAnswer(CutAnywhere(InPayload(Reordered(reply, random)), random), kHidden, pool);
    ASSERT_TRUE(answer.ok()) << answer.status();
    ExpectSame(std::get<DispatchReply>(*answer), reply);
  }
}

TEST(DispatchWireTest, TraceIdsAreFewAndOfTheirLength) {
  std::mt19937 random(12);
  BufferPool pool;
  v1::DispatchRequest request = RandomRequest(random);
  request.clear_trace_id();
  Dispatch dispatch = ToDispatch(request, pool);
  dispatch.trace_ids.resize(3 * kMaxTraceIds);
  const auto sent = DecodeCall(EncodeDispatch(dispatch), kHidden, pool);
  ASSERT_TRUE(sent.ok()) << sent.status();
  EXPECT_EQ(std::get<Dispatch>(*sent).trace_ids.size(), kMaxTraceIds);

  for (const std::size_t bytes : {0, 15, 17, 32}) {
    request.clear_trace_id();
    request.add_trace_id(RandomBytes(bytes, random));
    const auto call = DecodeCall(OneSlice(CallWith(request).SerializeAsString()), kHidden, pool);
    EXPECT_EQ(call.status().code(), absl::StatusCode::kInvalidArgument) << bytes;
  }
  request.clear_trace_id();
  for (std::size_t i = 0; i <= kMaxTraceIds; ++i) request.add_trace_id(RandomBytes(16, random));
  const auto call = DecodeCall(OneSlice(CallWith(request).SerializeAsString()), kHidden, pool);
  EXPECT_EQ(call.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DispatchWireTest, BothParsersJudgeEveryCombinationOfFieldsAlike) {
  std::mt19937 random(4);
  BufferPool pool;
  int accepted = 0;
  const auto* reflection = v1::DispatchRequest::GetReflection();
  const auto* descriptor = v1::DispatchRequest::descriptor();
  for (int mask = 0; mask < 1 << 13; ++mask) {
    v1::DispatchRequest request = RandomRequest(random);
    for (int f = 0; f < 13; ++f) {
      if ((mask >> f & 1) == 0) reflection->ClearField(&request, descriptor->field(f));
    }
    const auto fast = DecodeCall(OneSlice(CallWith(request).SerializeAsString()), kHidden, pool);
    const auto slow = DecodeCall(OneSlice(InPayload(Reordered(request, random))), kHidden, pool);

    if (request.ByteSizeLong() > 0) {
      EXPECT_EQ(fast.status(), slow.status()) << mask;
    }
    if (fast.ok()) {
      ++accepted;
      ExpectSame(std::get<Dispatch>(*fast), request);
    } else {
      EXPECT_EQ(fast.status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
  EXPECT_GT(accepted, 20);
}

TEST(DispatchWireTest, HandWrittenRepliesAreTheGeneratedBytes) {
  std::mt19937 random(5);
  BufferPool pool;
  for (int i = 0; i < 200; ++i) {
    v1::DispatchReply proto = RandomReply(random);
    proto.set_more(false);
    const auto decoded =
        DecodeAnswer(CutAnywhere(AnswerWith(proto).SerializeAsString(), random), kHidden, pool);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    DispatchReply reply = std::get<DispatchReply>(*decoded);
    ExpectSame(reply, proto);
    const auto parts = EncodeReply(reply, kHidden);
    ASSERT_EQ(parts.size(), 1u);
    if (reply.row_index.empty()) proto.set_dtype(static_cast<v1::WireDtype>(reply.dtype));
    EXPECT_EQ(Flatten(parts[0]), AnswerWith(proto).SerializeAsString());
  }
}

TEST(DispatchWireTest, ErrorsCarryTheirText) {
  BufferPool pool;
  const DispatchReply reply{.dispatch_id = 9,
                            .code = DispatchCode::kOverloaded,
                            .error = "queue full",
                            .missing_units = {}};
  const auto parts = EncodeReply(reply, kHidden);
  ASSERT_EQ(parts.size(), 1u);
  const auto decoded = DecodeAnswer(parts[0], kHidden, pool);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  const auto& read = std::get<DispatchReply>(*decoded);
  EXPECT_EQ(read.code, DispatchCode::kOverloaded);
  EXPECT_EQ(read.error, "queue full");
}

TEST(DispatchWireTest, LargeRepliesAreSplit) {
  BufferPool pool;
  constexpr int kWide = 7168;
  constexpr std::size_t kResults = 100;  // 2.9 MB in f32
  DispatchReply reply;
  reply.dispatch_id = 3;
  reply.storage = pool.Take(kResults * kWide * 4);
  std::vector<std::uint32_t> index(kResults), unit(kResults);
  auto* values = reinterpret_cast<float*>(reply.storage.data());
  for (std::size_t i = 0; i < kResults; ++i) {
    index[i] = static_cast<std::uint32_t>(i);
    unit[i] = static_cast<std::uint32_t>(2 * i);
    std::fill_n(values + i * kWide, kWide, static_cast<float>(i));
  }
  reply.row_index = index;
  reply.unit_id = unit;
  reply.rows = {reply.storage.data(), kResults * kWide * 4};
  reply.missing_units = {7, 300};
  const auto parts = EncodeReply(reply, kWide);
  EXPECT_EQ(parts.size(), 3u);
  std::size_t next = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    EXPECT_LE(parts[p].Length(), kMaxMessageBytes);
    const auto decoded = DecodeAnswer(parts[p], kWide, pool);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    const auto& part = std::get<DispatchReply>(*decoded);
    EXPECT_EQ(part.more, p + 1 < parts.size());
    EXPECT_EQ(part.missing_units.empty(), part.more);
    for (std::size_t i = 0; i < part.row_index.size(); ++i, ++next) {
      EXPECT_EQ(part.row_index[i], next);
      EXPECT_EQ(part.unit_id[i], 2 * next);
      EXPECT_EQ(reinterpret_cast<const float*>(part.rows.data())[i * kWide + 5],
                static_cast<float>(next));
    }
  }
  EXPECT_EQ(next, kResults);
}

TEST(DispatchWireTest, HelloAndCancel) {
  BufferPool pool;
  v1::Hello hello;
  hello.set_sender("router-0");
  const auto call = DecodeCall(EncodeCallHello(hello), kHidden, pool);
  EXPECT_EQ(std::get<v1::Hello>(*call).sender(), "router-0");
  const auto answer = DecodeAnswer(EncodeAnswerHello(hello), kHidden, pool);
  EXPECT_EQ(std::get<v1::Hello>(*answer).sender(), "router-0");
  const auto cancel = DecodeCall(EncodeCancel({4, 5}), kHidden, pool);
  EXPECT_EQ(std::get<std::vector<std::uint64_t>>(*cancel), (std::vector<std::uint64_t>{4, 5}));
}

TEST(DispatchWireTest, ContradictionsAreNamed) {
  std::mt19937 random(6);
  BufferPool pool;
  const auto refused = [&](auto change) {
    v1::DispatchRequest request = RandomRequest(random);
    change(request);
    return DecodeCall(OneSlice(CallWith(request).SerializeAsString()), kHidden, pool)
        .status()
        .code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(refused([](auto& r) { r.mutable_rows()->pop_back(); }), kInvalid);
  EXPECT_EQ(refused([](auto& r) { r.set_row_count(r.row_count() + 1); }), kInvalid);
  EXPECT_EQ(refused([](auto& r) { r.set_row_count(0xFFFFFFFF); }), kInvalid);
  EXPECT_EQ(refused([](auto& r) { r.set_dtype(static_cast<v1::WireDtype>(9)); }), kInvalid);
  EXPECT_EQ(refused([](auto& r) { r.set_row_index(0, r.row_count()); }), kInvalid);
  EXPECT_EQ(refused([](auto& r) { r.add_expert_id(1); }), kInvalid);
  EXPECT_EQ(refused([](auto& r) { r.add_weight(1); }), kInvalid);
  EXPECT_EQ(refused([](auto& r) { r.mutable_scales()->append("more"); }), kInvalid);
  EXPECT_EQ(refused([](auto& r) {
              r.add_row_index(0);
              r.add_expert_id(0);
              r.add_weight(0);
            }),
            kInvalid)
      << "out of order";
  EXPECT_EQ(refused([](auto& r) {
              r.add_row_index(r.row_index(r.row_index_size() - 1));
              r.add_expert_id(r.expert_id(r.expert_id_size() - 1));
              r.add_weight(0);
            }),
            kInvalid)
      << "twice";
}

TEST(DispatchWireTest, OnlyScalesThatAreUsefulAreTaken) {
  std::mt19937 random(13);
  BufferPool pool;
  const auto judge = [&](float scale, auto encode) {
    v1::DispatchRequest request;
    do {
      request = RandomRequest(random);
    } while (request.dtype() != v1::WIRE_DTYPE_FP8_E4M3);
    std::memcpy(request.mutable_scales()->data() + request.scales().size() - 4, &scale, 4);
    return DecodeCall(OneSlice(encode(request)), kHidden, pool).status().code();
  };
  const auto in_order = [](const v1::DispatchRequest& r) {
    return CallWith(r).SerializeAsString();
  };
  const auto reordered = [&](const v1::DispatchRequest& r) {
    return InPayload(Reordered(r, random));
  };
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const float scale : {kInf, -kInf, -1.0f, 0.0f, std::nanf("")}) {
    EXPECT_EQ(judge(scale, in_order), absl::StatusCode::kInvalidArgument) << scale;
    EXPECT_EQ(judge(scale, reordered), absl::StatusCode::kInvalidArgument) << scale;
  }
  EXPECT_EQ(judge(0.5f, in_order), absl::StatusCode::kOk);
  EXPECT_EQ(judge(0.5f, reordered), absl::StatusCode::kOk);
}

TEST(DispatchWireTest, OversizedMessagesAreRefused) {
  BufferPool pool;
  v1::DispatchRequest request;
  request.set_rows(std::string(kMaxMessageBytes, 'x'));
  const grpc::ByteBuffer call = OneSlice(CallWith(request).SerializeAsString());
  EXPECT_EQ(DecodeCall(call, kHidden, pool).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeCall(grpc::ByteBuffer(), kHidden, pool).status().code(),
            absl::StatusCode::kInvalidArgument);
}

/// Whatever the bytes: no crash, and what is accepted is what the generated parser reads.
void ExpectAgreesWithGenerated(const std::string& bytes, BufferPool& pool) {
  const auto call = DecodeCall(OneSlice(bytes), kHidden, pool);
  if (call.ok()) {
    v1::DispatchCall generated;
    ASSERT_TRUE(generated.ParseFromString(bytes));
    if (const auto* dispatch = std::get_if<Dispatch>(&*call)) {
      ExpectSame(*dispatch, generated.dispatch());
    }
  }
  const auto answer = DecodeAnswer(OneSlice(bytes), kHidden, pool);
  if (answer.ok()) {
    v1::DispatchAnswer generated;
    ASSERT_TRUE(generated.ParseFromString(bytes));
    if (const auto* reply = std::get_if<DispatchReply>(&*answer)) {
      ExpectSame(*reply, generated.reply());
    }
  }
}

TEST(DispatchWireTest, TruncationsNeverCrash) {
  std::mt19937 random(7);
  BufferPool pool;
  const std::string call = CallWith(RandomRequest(random)).SerializeAsString();
  for (std::size_t n = 0; n < call.size(); ++n) ExpectAgreesWithGenerated(call.substr(0, n), pool);
  const std::string answer = AnswerWith(RandomReply(random)).SerializeAsString();
  for (std::size_t n = 0; n < answer.size(); ++n) {
    ExpectAgreesWithGenerated(answer.substr(0, n), pool);
  }
}

TEST(DispatchWireTest, BitFlipsNeverCrash) {
  std::mt19937 random(8);
  BufferPool pool;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = random() % 2 == 0 ? CallWith(RandomRequest(random)).SerializeAsString()
                                          : AnswerWith(RandomReply(random)).SerializeAsString();
    for (int flips = 1 + static_cast<int>(random() % 3); flips > 0; --flips) {
      // The structure lies at both ends, the tensors between.
      const std::size_t span = std::min<std::size_t>(bytes.size(), 80);
      const std::size_t at =
          random() % 2 == 0 ? random() % span : bytes.size() - 1 - random() % span;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    }
    ExpectAgreesWithGenerated(bytes, pool);
  }
}

TEST(DispatchWireTest, RandomBytesNeverCrash) {
  std::mt19937 random(9);
  BufferPool pool;
  for (int i = 0; i < 3000; ++i) {
    ExpectAgreesWithGenerated(InPayload(RandomBytes(random() % 64, random)), pool);
    ExpectAgreesWithGenerated(RandomBytes(random() % 64, random), pool);
  }
}

}  // namespace
}  // namespace moesaic::rpc
