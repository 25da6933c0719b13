#include "monitoring/cost/price_list.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "tests/testing/fake_clock.h"

namespace moesaic::monitoring {
namespace {

constexpr char kList[] = R"({"currency": "EUR", "region": "eu-1", "energy_per_kwh": 0.25,
    "node_types": {"big": {"on_demand_per_hour": 7.2, "spot_per_hour": 3.6, "gpus": 4},
                   "plain": {"on_demand_per_hour": 1}, "own": {"note": "ours"}}})";

TEST(PriceListTest, UnknownIsUnknownAndNever0) {
  const PriceList list = PriceList::Parse(kList).value();
  EXPECT_EQ(list.currency(), "EUR");
  EXPECT_EQ(list.region(), "eu-1");
  EXPECT_EQ(list.energy_per_kwh(), 0.25);
  EXPECT_EQ(list.Lookup("big", kOnDemand), 7.2);
  EXPECT_EQ(list.Lookup("big", ""), 7.2);
  EXPECT_EQ(list.Lookup("big", kSpot), 3.6);
  EXPECT_EQ(list.Lookup("big", "reserved"), std::nullopt);
  EXPECT_EQ(list.Lookup("plain", kSpot), std::nullopt);
  EXPECT_EQ(list.Lookup("own", kOnDemand), std::nullopt);
  EXPECT_EQ(list.Lookup("other", kOnDemand), std::nullopt);
  EXPECT_EQ(list.FindType("big")->gpus, 4);
  EXPECT_EQ(list.FindType("other"), nullptr);
}

TEST(PriceListTest, AProcessCarriesItsShareOfTheNode) {
  const PriceList list = PriceList::Parse(kList).value();
  EXPECT_DOUBLE_EQ(list.PerSecond({"big", "on_demand", 0.25}).value(), 0.0005);
  EXPECT_DOUBLE_EQ(list.PerSecond({"big", "on_demand", 1}).value(), 0.002);
  EXPECT_EQ(list.PerSecond({"other", "on_demand", 0.25}), std::nullopt);
}

TEST(PriceListTest, ErrorsNameTheKey) {
  const struct {
    std::string text;
    std::string named;
  } cases[] = {
      {"[]", "JSON object"},
      {"{", "JSON object"},
      {R"({"node_types": {}})", "currency: is missing"},
      {R"({"currency": "USD"})", "node_types: is missing"},
      {R"({"currency": "usd", "node_types": {}})", "currency"},
      {R"({"currency": 1, "node_types": {}})", "currency"},
      {R"({"currency": "USD", "node_types": [], "x": 1})", "node_types: must be an object"},
      {R"({"currency": "USD", "node_types": {}, "regions": ""})", "regions: unknown key"},
      {R"({"currency": "USD", "node_types": {"a": 1}})", "node_types.a: must be an object"},
      {R"({"currency": "USD", "node_types": {"a": {"spot": 1}}})", "node_types.a.spot: unknown"},
      {R"({"currency": "USD", "node_types": {"a": {"spot_per_hour": -1}}})", "a.spot_per_hour"},
      {R"({"currency": "USD", "node_types": {"a": {"spot_per_hour": "1"}}})", "a.spot_per_hour"},
      {R"({"currency": "USD", "node_types": {"a": {"spot_per_hour": 1e999}}})", "JSON"},
      {R"({"currency": "USD", "node_types": {"a": {"spot_per_hour": NaN}}})", "JSON"},
      {R"({"currency": "USD", "node_types": {"a": {"spot_per_hour": 1e300}}})", "a.spot_per_hour"},
      {R"({"currency": "USD", "node_types": {"a": {"gpus": 1.5}}})", "a.gpus"},
      {R"({"currency": "USD", "node_types": {"a": {"gpus": 18446744073709551615}}})", "a.gpus"},
      {R"({"currency": "USD", "node_types": {"": {}}})", "node_types: a type has a name"},
      {R"({"currency": "USD", "node_types": {"a": {}, "a": {}}})", "a: there twice"},
      {R"({"currency": "USD", "node_types": {}, "energy_per_kwh": -1})", "energy_per_kwh"},
  };
  for (const auto& wrong : cases) {
    const absl::Status status = PriceList::Parse(wrong.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong.text;
    EXPECT_NE(std::string(status.message()).find(wrong.named), std::string::npos) << status;
  }
  EXPECT_FALSE(PriceList::Parse(std::string(5 << 20, ' ')).ok());
  EXPECT_FALSE(PriceList::Parse(std::string(1 << 20, '[')).ok());
}

TEST(PriceListTest, TheExampleIsAPriceList) {
  const auto file = PriceListFile::Open("monitoring/prices/example.json");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_GT((*file)->Get()->Lookup("p5.48xlarge", kOnDemand).value(), 0);
}

class PriceListFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/moesaic_prices_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/prices.json";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& price) {
    const std::string text =
        R"({"currency": "USD", "node_types": {"a": {"on_demand_per_hour": )" + price + "}}}";
    ASSERT_TRUE(base::WriteFileAtomically(path_, text).ok());
  }

  std::string folder_;
  std::string path_;
  testing::FakeClock clock_;
};

TEST_F(PriceListFileTest, FollowsTheFile) {
  Write("1");
  const auto file = PriceListFile::Open(path_, clock_).value();
  const std::shared_ptr<const PriceList> old = file->Get();
  Write("2");
  EXPECT_EQ(file->Get()->Lookup("a", kOnDemand), 1);  // it does not look that often
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(file->Get()->Lookup("a", kOnDemand), 2);
  EXPECT_EQ(old->Lookup("a", kOnDemand), 1);
  Write("\"dear\"");
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(file->Get()->Lookup("a", kOnDemand), 2);
  std::filesystem::remove(path_);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(file->Get()->Lookup("a", kOnDemand), 2);
  Write("3");
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(file->Get()->Lookup("a", kOnDemand), 3);
}

TEST_F(PriceListFileTest, ErrorsNameTheFile) {
  EXPECT_EQ(PriceListFile::Open(path_).status().code(), absl::StatusCode::kNotFound);
  Write("-1");
  const absl::Status status = PriceListFile::Open(path_).status();
  EXPECT_NE(std::string(status.message()).find(path_), std::string::npos) << status;
}

}  // namespace
}  // namespace moesaic::monitoring
