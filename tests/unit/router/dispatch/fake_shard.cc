#include "tests/unit/router/dispatch/fake_shard.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "rpc/wire_convert.h"

namespace moesaic::router {

rpc::LocalHello FakeHello(const std::string& sender, int hidden_size) {
  return {
      .sender = sender,
      .build = "test",
      .incarnation = 1,
      .model = {"model", "f00d", "beef", static_cast<std::uint32_t>(hidden_size), kFakeUnitSize},
      .wire_dtypes = {rpc::WireDtype::kF32, rpc::WireDtype::kBF16, rpc::WireDtype::kFp8E4M3},
      .credit_bytes = 0};
}

grpc::Status FakeShard::Service::Describe(grpc::ServerContext*, const v1::DescribeRequest*,
                                          v1::DescribeResponse* response) {
  v1::LayerUnits& layer = *response->add_units();
  for (const std::uint32_t unit : units_) layer.add_units(unit);
  return grpc::Status::OK;
}

FakeShard::FakeShard(Options options)
    : options_(std::move(options)), service_(options_.units), hold_(options_.hold) {
  rpc::LocalHello hello = FakeHello(options_.name, options_.hidden_size);
  hello.model.numerics_id = options_.numerics_id;
  hello.credit_bytes = options_.credit_bytes;
  dispatch_server_ = std::make_unique<rpc::DispatchServer>(
      rpc::DispatchServer::Options{.hello = hello}, service_, *this, pool_);
  auto server = rpc::StartServer({.dispatch = dispatch_server_.get()});
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

FakeShard::~FakeShard() { Stop(); }

void FakeShard::Stop() { server_->Shutdown(absl::ZeroDuration()); }

void FakeShard::OnDispatch(rpc::StreamId stream, rpc::Dispatch dispatch) {
  {
    base::MutexLock lock(mutex_);
    ++dispatches_;
    rows_ += static_cast<int>(dispatch.row_count);
    changed_.NotifyAll();
    if (hold_) {
      held_.push_back({stream, std::move(dispatch)});
      return;
    }
    if (dispatches_ <= options_.first_code_count) {
      dispatch_server_->Reply(
          stream,
          {.dispatch_id = dispatch.dispatch_id, .code = options_.first_code, .error = "as told"});
      return;
    }
  }
  Answer(stream, dispatch);
}

void FakeShard::Answer(rpc::StreamId stream, const rpc::Dispatch& d) {
  const std::size_t hidden = options_.hidden_size;
  const std::size_t in_bytes = hidden * rpc::WireDtypeBytes(d.dtype);
  const std::size_t scales = rpc::Fp8ScalesPerRow(options_.hidden_size);
  rpc::DispatchReply reply{.dispatch_id = d.dispatch_id, .dtype = rpc::ReplyDtype(d.dtype)};
  const std::size_t out_bytes = hidden * rpc::WireDtypeBytes(reply.dtype);
  reply.storage = pool_.Take(d.row_index.size() * out_bytes);
  std::vector<std::uint32_t> rows, units;
  std::vector<float> x(hidden), sum(hidden);
  std::set<std::uint32_t> missing;
  for (std::size_t i = 0; i < d.row_index.size();) {
    const std::uint32_t row = d.row_index[i];
    const std::uint32_t unit = d.expert_id[i] / kFakeUnitSize;
    rpc::DecodeWireRow(d.rows.subspan(row * in_bytes, in_bytes), d.dtype,
                       d.scales.empty() ? nullptr : d.scales.data() + row * scales,
                       absl::MakeSpan(x));
    std::fill(sum.begin(), sum.end(), 0.0f);
    for (;
         i < d.row_index.size() && d.row_index[i] == row && d.expert_id[i] / kFakeUnitSize == unit;
         ++i) {
      for (std::size_t c = 0; c < hidden; ++c) {
        sum[c] += d.weight[i] * (static_cast<float>(d.expert_id[i] + 1) * x[c]);
      }
    }
    if (!options_.units.contains(unit)) {
      missing.insert(unit);
      continue;
    }
    rpc::EncodeResultRow(sum, reply.dtype, reply.storage.data() + rows.size() * out_bytes);
    rows.push_back(row);
    units.push_back(unit);
  }
  reply.row_index = rows;
  reply.unit_id = units;
  reply.rows = {reply.storage.data(), rows.size() * out_bytes};
  reply.missing_units.assign(missing.begin(), missing.end());
  reply.queue_wait_us = 3;
  if (options_.tamper) options_.tamper(reply);
  dispatch_server_->Reply(stream, reply);
}

void FakeShard::ReleaseHeld() {
  std::vector<Held> held;
  {
    base::MutexLock lock(mutex_);
    hold_ = false;
    held.swap(held_);
  }
  for (const Held& h : held) Answer(h.stream, h.dispatch);
}

void FakeShard::OnCancel(rpc::StreamId, absl::Span<const std::uint64_t> ids) {
  base::MutexLock lock(mutex_);
  cancels_ += static_cast<int>(ids.size());
  changed_.NotifyAll();
}

bool FakeShard::WaitFor(int FakeShard::*counter, int count) {
  const absl::Time until = absl::Now() + absl::Seconds(20);
  base::MutexLock lock(mutex_);
  while (this->*counter < count) {
    if (absl::Now() > until) return false;
    changed_.WaitFor(mutex_, absl::Milliseconds(100));
  }
  return true;
}

bool FakeShard::WaitForDispatches(int count) { return WaitFor(&FakeShard::dispatches_, count); }
bool FakeShard::WaitForCancels(int count) { return WaitFor(&FakeShard::cancels_, count); }

int FakeShard::dispatches() const {
  base::MutexLock lock(mutex_);
  return dispatches_;
}

int FakeShard::rows() const {
  base::MutexLock lock(mutex_);
  return rows_;
}

}  // namespace moesaic::router
