#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "gtest/gtest.h"
#include "http/client.h"
#include "model/generation_config.h"
#include "monitoring/ledger/ledger.h"
#include "monitoring/process_metrics.h"
#include "router/api/api_server.h"
#include "router/router_metrics.h"
#include "router/scheduler/work_meter.h"
#include "tests/testing/series_count.h"
#include "tests/unit/router/api/byte_tokenizer.h"
#include "tests/unit/router/api/fake_generator.h"

namespace moesaic::router {
namespace {

using testing::kLargeShards;

/// Computes nothing: what the scheduler counts has the same series at rest.
class IdleRunner final : public StepRunner {
 public:
  void Run(StepBatch, absl::AnyInvocable<void(StepResult)>) override {}
  absl::Status Ready() const override { return absl::OkStatus(); }
};

/// Every part of a router that has metrics, as router.cc puts them together, but for the engine,
/// which has none. Answers come from a script; nobody listens at the shards' addresses.
class RouterSeriesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    base::SetLogLevel(base::LogLevel::kWarning);  // a line per request otherwise
    SchedulerOptions scheduling;
    scheduling.bounds.limits = {.max_model_len = 4096, .kv_capacity_tokens = 0, .vocab_size = 257};
    scheduling.kv_blocks = 256;
    scheduler_ = *Scheduler::Create(std::move(scheduling), runner_, loop_, clock_);
    ExpertDispatcher::Options dispatch;
    dispatch.hello.sender = "router-1";
    dispatch.hello.model = testing::DeepSeekV3Identity();
    dispatch.metrics = &registry_;
    dispatcher_ = *ExpertDispatcher::Create(std::move(dispatch));
    dispatcher_->SetPlacement(Placement());
    ledger_ =
        *monitoring::Ledger::Start({.url = absl::StrCat("sqlite:", (dir_ / "ledger.db").string()),
                                    .queue = {.directory = (dir_ / "queue").string()}},
                                   registry_);
    process_.Export(registry_, "1.0.0", "router", "n1");
    ExportRouterMetrics(registry_, *scheduler_, *dispatcher_);
    registry_.Get(monitoring::metrics::kCapacityTokensPerSecond);
    registry_.Get(monitoring::metrics::kThroughputTokensPerSecond);
    generator_.SetScript([](const GenerationRequest& request, Generator::Sink& sink) {
      SliceWork work;
      work.prefill.cost = work.decode.cost = 1;
      request.meter->Add(work, {});
      sink(Tokens("x"));
      sink(Finished());
      return absl::OkStatus();
    });
    ApiOptions options;
    options.model_id = "deepseek-ai/DeepSeek-V3";
    server_ = *ApiServer::Build(options, {.generator = generator_,
                                          .tokenizer = *tokenizer_,
                                          .generation_config = generation_config_,
                                          .metrics = registry_,
                                          .clock = clock_,
                                          .usage = ledger_.get()});
    client_.emplace(*http::Client::Create(absl::StrCat("http://127.0.0.1:", server_->port())));
  }
  ~RouterSeriesTest() override {
    server_.reset();
    loop_.Stop();
    if (ledger_ != nullptr) ledger_->Stop(absl::ZeroDuration());
    ledger_.reset();
    std::filesystem::remove_all(dir_);
  }

  static std::shared_ptr<const placement::PlacementMap> Placement() {
    placement::PlacementMap::Parts parts{.epoch = {1, 1},
                                         .model = testing::DeepSeekV3Identity(),
                                         .topology = testing::DeepSeekV3Topology(),
                                         .shards = {},
                                         .holders = {},
                                         .replicas_wanted = 1};
    for (std::uint32_t shard = 0; shard < kLargeShards; ++shard) {
      placement::ShardInfo& info = parts.shards.emplace_back();
      info.id = base::ShardId(shard);
      info.name = testing::LargeShardName(shard);
      info.address = "127.0.0.1:1";
    }
    for (std::uint32_t unit = 0; unit < parts.topology.units_total(); ++unit) {
      parts.holders.push_back({base::ShardId(unit % kLargeShards)});
    }
    return *placement::PlacementMap::Build(std::move(parts));
  }

  /// Requests of so many tenants from `first` on, a name each.
  void Ask(int first, int tenants) {
    for (int tenant = first; tenant < first + tenants; ++tenant) {
      const auto answer =
          Sent(client_->Post("/v1/completions", R"({"prompt":"a"})",
                             {{"X-Moesaic-Tenant", absl::StrCat("tenant-", tenant)}}));
      ASSERT_TRUE(answer.ok()) << answer.status();
      ASSERT_EQ(answer->status, 200) << answer->body;
    }
  }
  /// What clients do wrong, with paths that no two have in common.
  void Err(int first, int count) {
    for (int i = first; i < first + count; ++i) {
      ASSERT_TRUE(Sent(client_->Get(absl::StrCat("/nowhere/", i))).ok());
      ASSERT_TRUE(Sent(client_->Get(absl::StrCat("/v1/models/none-", i))).ok());
      ASSERT_TRUE(Sent(client_->Post("/v1/completions", R"({"max_tokens":-1})")).ok());
    }
  }
  template <typename Answer>
  Answer Sent(Answer answer) {
    ++sent_;
    return answer;
  }

  /// Counts when all requests are counted, which is after their answers were sent.
  std::size_t Settled() {
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (RequestsCounted() < sent_ && absl::Now() < until) std::this_thread::yield();
    EXPECT_EQ(RequestsCounted(), sent_);
    return testing::CountSeries(registry_);
  }
  int RequestsCounted() {
    std::istringstream text(registry_.Exposition());
    int counted = 0;
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with("moesaic_requests_total{")) {
        counted += std::stoi(line.substr(line.rfind(' ')));
      }
    }
    return counted;
  }

  const std::filesystem::path dir_ =
      std::filesystem::temp_directory_path() / absl::StrCat("router_series_", ::getpid());
  const base::Clock& clock_ = base::Clock::Real();
  monitoring::Registry registry_;
  monitoring::ProcessMetrics process_{clock_};
  SchedulerMetrics scheduler_metrics_{registry_};
  base::Loop loop_{16};
  IdleRunner runner_;
  FakeGenerator generator_;
  const std::unique_ptr<model::Tokenizer> tokenizer_ = MakeByteTokenizer();
  model::GenerationConfig generation_config_;
  std::unique_ptr<monitoring::Ledger> ledger_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<ExpertDispatcher> dispatcher_;
  std::unique_ptr<ApiServer> server_;
  std::optional<http::Client> client_;
  int sent_ = 0;
};

TEST_F(RouterSeriesTest, OfDeepSeekV3AndNoMoreForMoreTenants) {
  Ask(0, testing::kLargeTenants);
  Ask(testing::kLargeTenants, 1);  // the first "other"
  Err(1, 1);
  const std::size_t series = Settled();
  testing::PrintSeries("router", series);
  // By shard: 7 and a histogram of 8 bounds; by tenant, and "default" and "other": 6.
  constexpr std::size_t kVarying = kLargeShards * (7 + 11) + (testing::kLargeTenants + 2) * 6;
  EXPECT_GE(series, kVarying + 180);
  EXPECT_LE(series, kVarying + 400);

  Ask(testing::kLargeTenants + 1, 800);
  Err(2, 50);
  EXPECT_EQ(Settled(), series);
}

}  // namespace
}  // namespace moesaic::router
